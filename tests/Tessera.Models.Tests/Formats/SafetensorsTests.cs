using System.Runtime.InteropServices;
using Tessera.Models.Formats;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("conversions")]
    [InlineData("bf16")]
    public void A_file_of_the_reference_implementation_is_written_again_byte_for_byte(string name) =>
        RewritesExactly(Fixture.Local($"safetensors/{name}.safetensors"));

    [SharedFact("fixtures/torch")]
    public void Every_reference_file_is_written_again_byte_for_byte()
    {
        var files = ((string[])["torch", "hf", "families", "parts"])
            .SelectMany(part => Directory.GetFiles(Fixture.Shared($"fixtures/{part}")!, "*.safetensors", SearchOption.AllDirectories))
            .ToList();
        Assert.True(files.Count > 50, $"{files.Count} files");
        foreach (var file in files) RewritesExactly(file);
    }

    [Fact]
    public void Tensors_of_Tessera_come_back_as_they_were_with_shapes_and_metadata()
    {
        float[] values = [1.5f, -0.0f, float.NaN, float.NegativeInfinity, float.Epsilon, 3];
        var writer = new SafetensorsWriter { Metadata = { ["step"] = "12", ["note"] = "\"é\" 漢" } };
        writer.Add("layers.0.weight", Owned(values, [2, 3]));
        var ids = Tensor.Allocate([], ElementType.I32);
        ids.Ints[0] = -7;
        writer.Add("ids", ids);
        writer.Add("empty", Tensor.Allocate([4, 0]));
        writer.Add("naïve 漢字", Owned([9], [1]));
        writer.Save(_folder.File("a"));

        using var file = SafetensorsFile.Open(_folder.File("a"));
        Assert.Equal(0, file.DataStart % 8);
        Assert.Equal(["empty", "ids", "layers.0.weight", "naïve 漢字"], file.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("12", file.Metadata["step"]);
        Assert.Equal("\"é\" 漢", file.Metadata["note"]);
        Assert.Equal([2L, 3L], file["layers.0.weight"].Shape);
        Assert.Equal([4L, 0L], file["empty"].Shape);
        Assert.Empty(file["ids"].Shape);
        var back = new float[6];
        file.ReadFloats("layers.0.weight", back);
        Assert.Equal(values.Select(BitConverter.SingleToUInt32Bits), back.Select(BitConverter.SingleToUInt32Bits));
        var id = new byte[4];
        file.ReadBytes("ids", id);
        Assert.Equal(-7, BitConverter.ToInt32(id));
        file.ReadFloats("empty", []);
    }

    [Fact]
    public void Half_precision_is_read_as_PyTorch_converts_it()
    {
        using var reference = SafetensorsFile.Open(Fixture.Local("safetensors/conversions.safetensors"));
        foreach (var (name, type) in new[] { ("f16", SafetensorsType.F16), ("bf16", SafetensorsType.BF16) })
        {
            var count = (int)reference[$"{name}.bits"].Count;
            var (bits, expected, found) = (new int[count], new float[count], new float[count]);
            reference.ReadBytes($"{name}.bits", MemoryMarshal.AsBytes(bits.AsSpan()));
            reference.ReadFloats($"{name}.back", expected);
            var writer = new SafetensorsWriter();
            writer.Add("x", type, [count], stream => stream.Write(MemoryMarshal.AsBytes(bits.Select(bit => (ushort)bit).ToArray().AsSpan())));
            writer.Save(_folder.File(name));
            using var file = SafetensorsFile.Open(_folder.File(name));
            file.ReadFloats("x", found);
            Assert.Equal(expected, found);
        }
    }

    [Fact]
    public void Doubles_are_rounded_to_the_nearest_float_and_large_tensors_are_read_whole()
    {
        var random = new Random(1);
        var values = Enumerable.Range(0, 600_001).Select(_ => (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-50, 40))).ToArray();
        var writer = new SafetensorsWriter();
        writer.Add("x", SafetensorsType.F64, [values.Length], stream => stream.Write(MemoryMarshal.AsBytes(values.AsSpan())));
        writer.Save(_folder.File("a"));
        using var file = SafetensorsFile.Open(_folder.File("a"));
        var found = new float[values.Length];
        file.ReadFloats("x", found);
        Assert.Equal(values.Select(value => (float)value), found);
        var some = new byte[16];
        file.ReadBytes("x", some, offset: 8 * 600_000 - 8);
        Assert.Equal(values[^2..], MemoryMarshal.Cast<byte, double>(some).ToArray());
    }

    [Fact]
    public void Reading_what_is_not_there_or_does_not_fit_says_what_and_where()
    {
        using var file = SafetensorsFile.Open(Fixture.Local("safetensors/conversions.safetensors"));
        Says(() => file.ReadFloats("y", new float[1]), "conversions.safetensors", "'y'");
        Says(() => file.ReadFloats("f16.bits", new float[219]), "conversions.safetensors", "'f16.bits' I32 [219]", "F64, F32, F16, BF16, Q8_0");
        Assert.Contains("219", Assert.Throws<ArgumentException>(() => file.ReadFloats("x", new float[220])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => file.ReadBytes("x", new byte[8], offset: (4 * 219) - 7));
        Assert.Throws<ArgumentException>(() => file.ReadBytes("x", new byte[8], offset: -1));
        Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Open(_folder.File("none")));
    }

    [Fact]
    public void A_file_that_shrinks_while_it_is_open_is_an_error_not_a_crash()
    {
        var path = _folder.File("a", File.ReadAllBytes(Fixture.Local("safetensors/bf16.safetensors")));
        using var file = SafetensorsFile.Open(path);
        var entry = file.Entries.Values.MaxBy(entry => entry.Offset)!;
        Truncate(path, new FileInfo(path).Length - 1);
        Says(() => file.ReadFloats(entry.Name, new float[entry.Count]), path, "cut short");
    }

    [Fact]
    public void The_writer_refuses_names_twice_and_tensors_that_write_the_wrong_number_of_bytes()
    {
        var writer = new SafetensorsWriter();
        writer.Add("a", SafetensorsType.U8, [3], stream => stream.Write([1, 2]));
        Assert.Throws<ArgumentException>(() => writer.Add("a", SafetensorsType.U8, [0], _ => { }));
        Assert.Throws<ArgumentException>(() => writer.Add("__metadata__", SafetensorsType.U8, [0], _ => { }));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Add("b", SafetensorsType.U8, [-1], _ => { }));
        var message = Assert.Throws<InvalidOperationException>(() => writer.Write(Stream.Null)).Message;
        Assert.Contains("'a' wrote 2 bytes instead of 3", message, StringComparison.Ordinal);
    }

    private static void Truncate(string path, long length)
    {
        // Opened beside the reader, as another process would.
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.SetLength(handle, length);
    }

    private static Tensor Owned(float[] values, Shape shape)
    {
        var tensor = Tensor.Allocate(shape);
        values.CopyTo(tensor.Floats);
        return tensor;
    }

    private static void RewritesExactly(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var writer = new SafetensorsWriter();
        foreach (var (key, value) in file.Metadata) writer.Metadata[key] = value;
        foreach (var (name, entry) in file.Entries.OrderBy(entry => entry.Value.Offset % 7))
        {
            writer.Add(name, entry.Type, [.. entry.Shape], stream =>
            {
                var bytes = new byte[entry.ByteCount];
                file.ReadBytes(name, bytes);
                stream.Write(bytes);
            });
        }

        var copy = new MemoryStream();
        writer.Write(copy);
        Assert.True(File.ReadAllBytes(path).AsSpan().SequenceEqual(copy.ToArray()), path);
    }

    private static void Says(Action action, params string[] what)
    {
        var message = Assert.Throws<InvalidDataException>(action).Message;
        Assert.All(what, part => Assert.Contains(part, message, StringComparison.Ordinal));
    }
}
