using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Recipes;
using Tessera.Models.Tests.Formats;
using Tessera.Tensors;
using Tessera.Testing;
using Xunit.Abstractions;

namespace Tessera.Models.Tests.Conversion;

/// <summary>Models to GGUF and back, compared with what llama.cpp's converter and quantizer made of the same folders.</summary>
public sealed class ConversionTests(ITestOutputHelper output) : IDisposable
{
    private const string GgufModels = "fixtures/gguf/models", Folders = "fixtures/hf";

    // Keys that llama.cpp's converter leaves out where readers would assume the same, or that are not about the model.
    private static readonly string[] s_alsoWritten =
    [
        "vocab_size",
        "attention.key_length",
        "attention.value_length",
        "rope.dimension_count",
        "rope.scaling.original_context_length",
        "expert_feed_forward_length",
        "expert_gating_func",
        "expert_weights_norm",
        "add_bos_token",
        "add_eos_token",
        "add_space_prefix",
        "unknown_token_id",
        "padding_token_id",
    ];

    private static readonly string[] s_otherwise = ["general.name", "general.size_label"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SharedFact(GgufModels)]
    public void Folders_become_the_files_that_llama_cpp_makes_of_them()
    {
        var count = 0;
        foreach (var folder in Directory.GetDirectories(Fixture.Shared(GgufModels)!))
        {
            foreach (var kind in (string[])["f32", "q8_0", "q4_0", "q6_k"])
            {
                var theirs = Path.Combine(folder, $"{kind}.gguf");
                // llama.cpp keeps keys and values of models with just eight experts in Q8_0.
                if (!File.Exists(theirs) || (kind == "q4_0" && folder.EndsWith("qwen3moe", StringComparison.Ordinal))) continue;
                var ours = _folder.File($"{Path.GetFileName(folder)}-{kind}.gguf");
                ModelConversion.Convert(
                    Path.Combine(folder, "hf"), ours, new ConversionOptions { Type = Enum.Parse<ElementType>(kind, ignoreCase: true) });
                RequireSameFile(theirs, ours);
                count++;
            }
        }

        Assert.True(count >= 13, $"{count} files");
    }

    [SharedFact(Folders)]
    public void Folders_come_back_from_GGUF_byte_for_byte()
    {
        var sources = Directory
            .GetDirectories(Fixture.Shared(Folders)!)
            .Concat(Directory.GetDirectories(Fixture.Shared(GgufModels)!).Select(folder => Path.Combine(folder, "hf")));
        var count = 0;
        foreach (var source in sources.Where(folder => File.Exists(Path.Combine(folder, "config.json"))))
        {
            RequireRoundTrip(source);
            count++;
        }

        Assert.True(count >= 19, $"{count} folders");
    }

    [Fact]
    public void Seldom_options_come_back_from_GGUF_byte_for_byte_or_are_refused()
    {
        var refusals = new List<string>();
        foreach (var source in Directory.GetDirectories(Fixture.Local("families")))
        {
            try
            {
                RequireRoundTrip(source);
            }
            catch (ArgumentException refusal)
            {
                refusals.Add($"{Path.GetFileName(source)}: {refusal.Message}");
            }
        }

        foreach (var refusal in refusals) output.WriteLine(refusal);
        Assert.All(refusals, refusal =>
            Assert.Contains("this model cannot be said in GGUF's architecture", refusal, StringComparison.Ordinal)
        );
        Assert.InRange(refusals.Count, 1, Directory.GetDirectories(Fixture.Local("families")).Length - 1);
    }

    [SharedFact(GgufModels)]
    public void Files_come_back_from_folders_byte_for_byte()
    {
        foreach (var theirs in Directory.GetFiles(Fixture.Shared(GgufModels)!, "f32.gguf", SearchOption.AllDirectories))
        {
            var (middle, again) = (_folder.File("middle"), _folder.File("again.gguf"));
            ModelConversion.Convert(theirs, middle, new ConversionOptions { Overwrite = true });
            ModelConversion.Convert(middle, again, new ConversionOptions { Overwrite = true });
            RequireSameFile(theirs, again);
        }
    }

    [SharedFact(GgufModels)]
    public void A_file_converted_without_a_type_keeps_what_it_has()
    {
        foreach (var theirs in Directory.GetFiles(Fixture.Shared(GgufModels)!, "q*.gguf", SearchOption.AllDirectories))
        {
            // Parts of different types of what is one matrix here become F32.
            if (theirs.Contains("q5_k", StringComparison.Ordinal) || theirs.Contains("deepseek2", StringComparison.Ordinal)) continue;
            var ours = _folder.File("again.gguf");
            ModelConversion.Convert(theirs, ours, new ConversionOptions { Overwrite = true });
            using var pair = new Pair(theirs, ours);
            RequireSameTensors(pair.Before, pair.After);
        }
    }

    [SharedFact(Folders)]
    public void Folders_are_cut_into_files_of_a_size_and_read_again()
    {
        var source = Path.Combine(Fixture.Shared(Folders)!, "qwen3-sharded-bf16");
        var target = _folder.File("shards");
        ModelConversion.Convert(source, target, new ConversionOptions { MaxShardBytes = 25_000 });
        Assert.True(Directory.GetFiles(target, "model-*.safetensors").Length > 2);
        using var before = TensorSource.Open(source);
        using var after = TensorSource.Open(target);
        RequireSameTensors(before, after);
    }

    [SharedFact(Folders)]
    public void What_is_there_is_replaced_only_when_asked()
    {
        var source = Path.Combine(Fixture.Shared(Folders)!, "llama");
        var (file, folder) = (_folder.File("model.gguf", [1, 2, 3]), _folder.File("folder"));
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "notes.txt"), "mine");
        foreach (var target in (string[])[file, folder])
        {
            var error = Assert.Throws<TargetExistsException>(() => ModelConversion.Convert(source, target, new ConversionOptions()));
            Assert.Equal($"'{target}' is there already", error.Message);
            ModelConversion.Convert(source, target, new ConversionOptions { Overwrite = true });
            Assert.NotNull(ModelFolder.Load(target).Model);
        }

        Assert.True(File.Exists(Path.Combine(folder, "notes.txt")));
        Assert.Throws<ArgumentException>(() => ModelConversion.Convert(source, source, new ConversionOptions { Overwrite = true }));
    }

    [SharedFact(Folders)]
    public void A_conversion_that_fails_leaves_nothing()
    {
        var error = Assert.Throws<ArgumentException>(() => ModelConversion.Convert(
            Path.Combine(Fixture.Shared(Folders)!, "llama"), _folder.File("quantized"), new ConversionOptions { Type = ElementType.Q8_0 }));
        Assert.Equal("a Hugging Face folder holds F32, BF16 or F16, not Q8_0; GGUF files can be quantized", error.Message);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    private void RequireRoundTrip(string source)
    {
        var name = Path.GetFileName(source) == "hf" ? $"{Path.GetFileName(Path.GetDirectoryName(source))}-hf" : Path.GetFileName(source);
        var (middle, again) = (_folder.File($"{name}.gguf"), _folder.File(name));
        var notes = ModelConversion.Convert(source, middle, new ConversionOptions()).Notes;
        ModelConversion.Convert(middle, again, new ConversionOptions());
        var (before, after) = (ModelFolder.Load(source), ModelFolder.Load(again));
        var bare = (DecoderOptions)before.Config.Model with { MtpDepth = 0 };
        var difference = RecipeJson.FirstDifference(CanonicalOptions.Of(bare), CanonicalOptions.Of((DecoderOptions)after.Config.Model));
        Assert.True(difference is null, $"{name}: {difference}");
        Assert.Equal(bare != before.Config.Model, notes.Any(note => note.Contains("MTP", StringComparison.Ordinal)));

        using var theirs = TensorSource.Open(source);
        using var ours = TensorSource.Open(again);
        var names = before.Family!.Names(bare);
        foreach (var (tensor, stored) in ours.Tensors)
        {
            var original = theirs[names.Find(theirs, tensor)!];
            Assert.Equal((original.Type, string.Join(',', original.Shape)), (stored.Type, string.Join(',', stored.Shape)));
            Assert.True(Bytes(theirs, original.Name).AsSpan().SequenceEqual(Bytes(ours, tensor)), $"{name}: {tensor}");
        }
    }

    private static void RequireSameFile(string theirs, string ours)
    {
        using var pair = new Pair(theirs, ours);
        RequireSameTensors(pair.Before, pair.After);
        foreach (var (key, value) in pair.Before.Metadata.Where(value => !s_otherwise.Contains(value.Key)))
        {
            Assert.True(pair.After.Metadata.TryGetValue(key, out var found), $"{theirs}: {key}");
            Assert.True(
                value.Type == found.Type && value.Items.SequenceEqual(found.Items) && value.ToString() == found.ToString(),
                $"{theirs}: {key} is {found}, not {value}");
        }

        var more = pair
            .After.Metadata.Keys.Except(pair.Before.Metadata.Keys)
            .Where(key => !s_alsoWritten.Any(known => key.EndsWith(known, StringComparison.Ordinal)));
        Assert.Empty(more);
    }

    private static void RequireSameTensors(TensorSource before, TensorSource after)
    {
        Assert.Equal(before.Tensors.Keys.Order(StringComparer.Ordinal), after.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, tensor) in before.Tensors)
        {
            Assert.Equal((tensor.Type, string.Join(',', tensor.Shape)), (after[name].Type, string.Join(',', after[name].Shape)));
            Assert.True(Bytes(before, name).AsSpan().SequenceEqual(Bytes(after, name)), $"{before.Path}: {name}");
        }
    }

    private static byte[] Bytes(TensorSource source, string name)
    {
        var bytes = new byte[source[name].ByteCount];
        source.ReadBytes(name, bytes);
        return bytes;
    }

    private sealed record Pair(GgufFile Before, GgufFile After) : IDisposable
    {
        public Pair(string before, string after) : this(GgufFile.Open(before), GgufFile.Open(after))
        {
        }

        public void Dispose()
        {
            Before.Dispose();
            After.Dispose();
        }
    }
}
