using System.Text.Json.Nodes;
using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Tests.Formats;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Conversion;

/// <summary>What happens to files that are there before a model is written, and when writing fails or is stopped.</summary>
public sealed class ReplacementTests : IDisposable
{
    private static readonly ConversionOptions s_overwrite = new() { Type = ElementType.BF16, Overwrite = true };

    private readonly TemporaryFolder _folder = new();
    private readonly string _source;

    public ReplacementTests()
    {
        _source = _folder.File("source");
        Directory.CreateDirectory(_source);
        foreach (var file in Directory.GetFiles(Fixture.Local(Path.Combine("families", "llama-yarn-old-layout"))))
            File.Copy(file, Path.Combine(_source, Path.GetFileName(file)));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_model_never_replaces_itself_however_its_place_is_written()
    {
        var link = _folder.File("link");
        Directory.CreateSymbolicLink(link, _source);
        var weights = File.ReadAllBytes(Path.Combine(_source, ModelFolder.WeightsFile));
        var loaded = ModelFolder.Load(_source);
        foreach (
            var target in (string[])
                [
                    _source,
                    _source + Path.DirectorySeparatorChar,
                    Path.Combine(link, "..", "source"),
                    link,
                    link + Path.DirectorySeparatorChar,
                ])
        {
            Assert.Contains(
                "are the same", Assert.Throws<ArgumentException>(() => ModelConversion.Convert(_source, target, s_overwrite)).Message,
                StringComparison.Ordinal);
            Assert.Contains(
                "is the model's own folder", Assert.Throws<IOException>(() => loaded.Save(target)).Message, StringComparison.Ordinal);
        }

        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(_source, ModelFolder.WeightsFile)));
    }

    [Fact]
    public void Only_files_of_the_former_model_are_removed()
    {
        var target = _folder.File("target");
        string[] mine = ["model_backup.safetensors", "model.safetensors.bak", "notes.txt"],
            former = ["model-00001-of-00002.safetensors", SafetensorsFolder.IndexFile, "generation_config.json", "vocab.json"];
        Directory.CreateDirectory(target);
        foreach (var name in mine.Concat(former)) File.WriteAllText(Path.Combine(target, name), "before");
        ModelConversion.Convert(_source, target, s_overwrite);
        Assert.All(mine, name => Assert.Equal("before", File.ReadAllText(Path.Combine(target, name))));
        Assert.All(former, name => Assert.False(File.Exists(Path.Combine(target, name)), name));
        Assert.NotNull(ModelFolder.Load(target).Model);
        Assert.Equal(2, Directory.GetDirectories(_folder.Path).Length);
    }

    [Fact]
    public void A_model_that_cannot_be_moved_stays_beside_its_place_which_is_told()
    {
        var target = _folder.File("target");
        Directory.CreateDirectory(Path.Combine(target, ModelFolder.ConfigFile, "in the way"));
        var error = Assert.Throws<IOException>(() => ModelConversion.Convert(_source, target, s_overwrite));
        var left = Assert.Single(Directory.GetDirectories(_folder.Path, "target.*.tmp"));
        Assert.Contains($"remaining files are in '{left}'", error.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(left, ModelFolder.ConfigFile)));
        Assert.True(File.Exists(Path.Combine(target, ModelFolder.WeightsFile)));
    }

    [Theory]
    [InlineData("stopped")]
    [InlineData("stopped.gguf")]
    public void A_stopped_conversion_leaves_nothing(string name)
    {
        using var stop = new CancellationTokenSource();
        var options = new ConversionOptions { Progress = new Stopping(stop) };
        Assert.Throws<OperationCanceledException>(() => ModelConversion.Convert(_source, _folder.File(name), options, stop.Token));
        Assert.Equal([_source], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("whole", "a Hugging Face folder holds F32, BF16 or F16, not I32")]
    [InlineData("whole.gguf", "matrices in a GGUF file cannot be I32; allowed: F32, F16, Q4_0")]
    public void Matrices_of_whole_numbers_are_refused(string name, string message) => Assert.StartsWith(
            message,
            Assert
                .Throws<ArgumentException>(() =>
                    ModelConversion.Convert(_source, _folder.File(name), new ConversionOptions { Type = ElementType.I32 })
                )
                .Message,
            StringComparison.Ordinal);

    [Fact]
    public void A_file_that_another_process_writes_stays()
    {
        foreach (var save in (Action<string>[])[path => new SafetensorsWriter().Save(path), path => new GgufWriter().Save(path)])
        {
            using (var other = new FileStream(_folder.File("a.tmp"), FileMode.Create, FileAccess.Write, FileShare.None))
            {
                other.WriteByte(7);
                other.Flush();
                Assert.Throws<IOException>(() => save(_folder.File("a")));
            }

            Assert.Equal([7], File.ReadAllBytes(_folder.File("a.tmp")));
            save(_folder.File("a"));
            Assert.False(File.Exists(_folder.File("a.tmp")));
        }
    }

    [Fact]
    public void What_is_saved_is_described_as_it_is()
    {
        var (coarse, saved) = (_folder.File("coarse"), _folder.File("saved"));
        ModelConversion.Convert(_source, coarse, s_overwrite);
        File.WriteAllText(Path.Combine(coarse, "added_tokens.json"), "{}");
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(coarse, ModelFolder.ConfigFile)))!;
        Assert.Equal("bfloat16", (string?)config["dtype"]);
        config["bos_token_id"] = 3;
        config["eos_token_id"] = new JsonArray(4, 5);
        File.WriteAllText(Path.Combine(coarse, ModelFolder.ConfigFile), config.ToJsonString());

        ModelFolder.Load(coarse).Save(saved);
        config["dtype"] = "float32"; // and nothing else
        var found = JsonNode.Parse(File.ReadAllText(Path.Combine(saved, ModelFolder.ConfigFile)));
        Assert.True(JsonNode.DeepEquals(config, found), $"{config} {found}");
        Assert.True(File.Exists(Path.Combine(saved, "added_tokens.json")));
        using var weights = TensorSource.Open(saved);
        Assert.All(weights.Tensors.Values, tensor => Assert.Equal(ElementType.F32, tensor.Element));
        Assert.Equal(Numbers(coarse), Numbers(saved));
    }

    [LinuxFact("lists its open files in /proc")]
    public void A_model_that_cannot_be_loaded_is_closed_again()
    {
        var config = Path.Combine(_source, ModelFolder.ConfigFile);
        var options = JsonNode.Parse(File.ReadAllText(config))!;
        options["intermediate_size"] = (int)options["intermediate_size"]! + 1;
        File.WriteAllText(config, options.ToJsonString());
        Assert.Throws<InvalidDataException>(() => ModelFolder.Load(_source));
        Assert.Throws<InvalidDataException>(() => ModelConversion.Convert(_source, _folder.File("a.gguf"), new ConversionOptions()));
        Assert.DoesNotContain(Directory.GetFileSystemEntries("/proc/self/fd").Select(entry => new FileInfo(entry).LinkTarget), target =>
            target?.StartsWith(_source, StringComparison.Ordinal) == true
        );
    }

    private static List<float> Numbers(string folder) =>
        [.. ModelFolder.Load(folder).Model.Parameters().SelectMany(own => own.Parameter.Value.ToArray())];

    private sealed class Stopping(CancellationTokenSource stop) : IProgress<(long Written, long All)>
    {
        public void Report((long Written, long All) value) => stop.Cancel();
    }
}
