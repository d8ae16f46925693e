using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Verification;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.Gguf;

/// <summary>Models in several files, as gguf-split cuts them: all metadata in the first, <c>split.*</c> in each.</summary>
public sealed class GgufSplitTests : IDisposable
{
    private static readonly string s_whole = Fixture.Local("gguf/llama-q4_0.gguf");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Any_part_names_the_whole_model(int part)
    {
        var parts = Split(3);
        using var whole = GgufFile.Open(s_whole);
        using var split = GgufFile.Open(parts[part]);
        Assert.Equal(parts, split.Files);
        Assert.Equal(whole.Tensors.Keys.Order(), split.Tensors.Keys.Order());
        foreach (var tensor in whole.Tensors.Values)
        {
            var (wanted, found) = (new byte[tensor.ByteCount], new byte[tensor.ByteCount]);
            whole.ReadBytes(tensor.Name, wanted);
            split.ReadBytes(tensor.Name, found);
            Assert.Equal(wanted, found);
            Assert.Equal(tensor, split[tensor.Name] with { Shape = tensor.Shape });
        }
    }

    [Fact]
    public void Converted_it_is_the_file_that_was_cut()
    {
        var parts = Split(2);
        foreach (var (source, target) in ((string, string)[])[(s_whole, "whole.gguf"), (parts[1], "joined.gguf")])
            ModelConversion.Convert(source, _folder.File(target), new ConversionOptions());
        using var joined = GgufFile.Open(_folder.File("joined.gguf"));
        Assert.DoesNotContain(joined.Metadata.Keys, key => key.StartsWith("split.", StringComparison.Ordinal));
        // But for the name, which is that of the file.
        var (wanted, found) = (File.ReadAllBytes(_folder.File("whole.gguf")), File.ReadAllBytes(_folder.File("joined.gguf")));
        using var whole = GgufFile.Open(_folder.File("whole.gguf"));
        Assert.Equal(wanted.AsSpan((int)whole.DataStart), found.AsSpan((int)joined.DataStart));
    }

    [Fact]
    public void It_generates_what_the_whole_generates()
    {
        var (whole, split) = (ModelFolder.Load(s_whole, asStored: true), ModelFolder.Load(Split(2)[0], asStored: true));
        Assert.Equal(Logits(whole), Logits(split));
    }

    [Fact]
    public void It_is_verified_with_what_was_recorded_beside_it()
    {
        var whole = ModelFolder.Load(s_whole);
        var writer = new SafetensorsWriter();
        writer.Add("batch.input_ids", Tensors.Tensor.From([5, 6, 7], [1, 3]));
        writer.Add("batch.logits", Tensors.Tensor.From(Logits(whole), [1, 3, whole.Model.Vocabulary]));
        writer.Save(_folder.File("expected.safetensors"));
        Assert.True(ModelVerification.Run(Split(2)[1]).Passes(1e-6, 1e-6));
    }

    [Fact]
    public void A_part_of_the_source_is_no_target()
    {
        var parts = Split(2);
        var error = Assert.Throws<ArgumentException>(() => ModelConversion.Convert(parts[0], parts[1], new ConversionOptions { Overwrite = true }));
        Assert.Contains("is a part of the source", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_parts_are_named()
    {
        var parts = Split(3);
        File.Delete(parts[0]);
        File.Delete(parts[2]);
        var error = Assert.Throws<FileNotFoundException>(() => GgufFile.Open(parts[1]));
        Assert.Equal(
            $"{parts[1]}: is part 2 of 3 of one model, of which parts are missing: m-00001-of-00003.gguf, m-00003-of-00003.gguf", error.Message);
    }

    [Fact]
    public void Parts_that_were_renamed_or_exchanged_are_said_to_be()
    {
        var parts = Split(2);
        File.Copy(parts[0], _folder.File("first.gguf"));
        Assert.Contains(
            "is part 1 of 2 of one model; give the parts their names again, which end in -00001-of-00002.gguf",
            Assert.Throws<InvalidDataException>(() => GgufFile.Open(_folder.File("first.gguf"))).Message, StringComparison.Ordinal);
        File.Copy(parts[0], parts[1], overwrite: true);
        Assert.Contains(
            "does not say that it is part 2 of 2", Assert.Throws<InvalidDataException>(() => GgufFile.Open(parts[0])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("split.count", -1, "metadata 'split.count' is ")]
    [InlineData("split.no", 2, "metadata 'split.no' is 2; allowed: 0 to 1")]
    [InlineData("split.tensors.count", 3, "split.tensors.count is 3, but the 2 parts hold ")]
    public void Numbers_of_parts_that_cannot_be_are_refused(string key, int number, string message)
    {
        var parts = Split(2, key, number);
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => GgufFile.Open(parts[0])).Message, StringComparison.Ordinal);
    }

    private static float[] Logits(ModelFolder folder)
    {
        var batch = Batch.Of(
            Tensors.Tensor.From([5, 6, 7], [1, 3]), Tensors.Tensor.From([6, 7, -1], [1, 3]), Batch.PositionsFromStart(1, 3));
        return folder.Model.Logits(batch, batch.Context()).ToArray();
    }

    /// <summary>The whole cut into files of as many tensors each as will go.</summary>
    private string[] Split(int count, string? changed = null, int number = 0)
    {
        using var whole = GgufFile.Open(s_whole);
        string[] paths = [.. Enumerable.Range(1, count).Select(part => _folder.File($"m-{part:D5}-of-{count:D5}.gguf"))];
        var size = (whole.Tensors.Count + count - 1) / count;
        for (var part = 0; part < count; part++)
        {
            var writer = new GgufWriter();
            foreach (var (key, value) in part == 0 ? whole.Metadata : new Dictionary<string, GgufValue>()) writer.Metadata[key] = value;
            Set(writer, "split.no", GgufValueType.U16, (ulong)part);
            Set(writer, "split.count", GgufValueType.U16, (ulong)count);
            Set(writer, "split.tensors.count", GgufValueType.I32, (long)whole.Tensors.Count);
            if (changed is not null && part == 0) Set(writer, changed, GgufValueType.I32, (long)number);
            foreach (var entry in whole.Entries.Values.Skip(part * size).Take(size))
            {
                var bytes = new byte[entry.ByteCount];
                whole.ReadBytes(entry.Name, bytes);
                writer.Add(entry.Name, entry.Type, [.. entry.Shape], stream => stream.Write(bytes));
            }

            writer.Save(paths[part]);
        }

        return paths;
    }

    private static void Set(GgufWriter writer, string key, GgufValueType type, object number) => writer.Metadata[key] = new GgufValue(type, number);
}
