using FsCheck;
using FsCheck.Fluent;
using Tessera.Models.Formats.Gguf;
using Tessera.Nn.Positions;
using Tessera.Models.Tests.Formats;
using Tessera.Tensors;
using Tessera.Testing;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Tests.Formats.Gguf;

/// <summary>Files whose metadata or names are not those of the model they say they are.</summary>
public sealed class GgufModelsFromStrangersTests : IDisposable
{
    private static readonly string s_llama = Fixture.Local("gguf/llama-q4_0.gguf");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_whose_header_was_changed_is_a_model_or_one_clear_error()
    {
        var (path, bytes) = (_folder.File("mutated.gguf"), File.ReadAllBytes(s_llama));
        int header;
        using (var file = GgufFile.Open(s_llama)) header = (int)file.DataStart;
        var mutations = from place in Gen.Choose(0, header - 1) from value in Gen.Choose(0, 255) select (place, (byte)value);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2_000), Prop.ForAll(mutations.ArrayOf(3).ToArbitrary(), changes =>
        {
            var changed = bytes.ToArray();
            foreach (var (place, value) in changes) changed[place] = value;
            File.WriteAllBytes(path, changed);
            try
            {
                ModelFolder.Load(path, asStored: true);
            }
            catch (InvalidDataException error)
            {
                Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
            }
        }));
    }

    [Theory]
    [InlineData("general.architecture", "phi4", "metadata 'general.architecture' is 'phi4': its configuration shows no part that is known; allowed: ")]
    [InlineData("llama.block_count", 0u, "metadata 'llama.block_count' is 0; allowed: 1 to ")]
    [InlineData("llama.block_count", 3u, "does not have the model's tensors; missing: blk.2.")]
    [InlineData("llama.block_count", 1u, "does not have the model's tensors; missing: none; unexpected: blk.1.")]
    [InlineData("llama.block_count", 4_000_000u, "metadata 'llama.block_count' is 4000000; allowed: 1 to 256")]
    [InlineData("llama.attention.head_count", 7u, "a model that cannot be: ")]
    [InlineData("llama.feed_forward_length", 64u, "tensor 'blk.0.ffn_gate.weight' has the shape [")]
    [InlineData("llama.embedding_length", 63u, "is to be [vocabulary, 63]")]
    [InlineData("llama.rope.dimension_count", 7u, "metadata 'llama.rope.dimension_count' is 7; allowed: even numbers up to the width of a head")]
    [InlineData("llama.rope.scaling.type", "spiral", "metadata 'llama.rope.scaling.type' is 'spiral'; allowed: none, linear, yarn")]
    [InlineData("llama.expert_count", 4u, "metadata 'llama.expert_used_count' is missing")]
    public void What_is_wrong_is_named(string key, object value, string message) => Complains(message, (key, value));

    [Theory]
    [InlineData(1e37f)]
    [InlineData(1001f)]
    public void A_multiplier_that_is_beyond_all_bounds_is_named(float multiplier) => Complains(
        "metadata 'llama.rope.scaling.yarn_log_multiplier' is ", ("llama.rope.scaling.type", "yarn"), ("llama.rope.scaling.factor", 4f),
        ("llama.rope.scaling.original_context_length", 16u), ("llama.rope.scaling.yarn_log_multiplier", multiplier));

    [Fact]
    public void A_multiplier_of_DeepSeek_comes_back_as_the_decimals_it_was()
    {
        foreach (var mscale in (double[])[0.707, 1, 0.1, 1e-7, 999])
        {
            var writer = new GgufWriter();
            writer.Metadata["general.architecture"] = GgufValue.Of("deepseek2");
            var rotary = new RotaryOptions(10_000, RotaryLayout.Interleaved, 64) { Scaling = new YarnScaling(4, 16) { Mscale = mscale, MscaleAllDim = mscale } };
            GgufRotary.Write(rotary, 8, (key, value) => writer.Metadata[$"deepseek2.{key}"] = value, 0.1);
            writer.Save(_folder.File("yarn.gguf"));
            using var file = GgufFile.Open(_folder.File("yarn.gguf"));
            Assert.Equal(rotary, GgufRotary.Read(new GgufKeys(file, "deepseek2"), RotaryLayout.Interleaved, 8, 64, 0.1));
        }
    }

    [Fact]
    public void As_many_ends_are_written_as_llama_cpp_has_keys_for()
    {
        Assert.Equal((null, ""), Written(2, 2, 2));
        Assert.Equal((null, "tokenizer.ggml.eot_token_id 7"), Written(2, 2, 7, 2, 7));
        Assert.Equal((null, "tokenizer.ggml.eom_token_id 128008, tokenizer.ggml.eot_token_id 128001"), Written(128009, 128001, 128008, 128009));
        var (note, _) = Written(1, 1, 2, 3, 4, 5);
        Assert.EndsWith("lost: 4, 5", note, StringComparison.Ordinal);
        Assert.Null(Written(1, 1, 5, 6, 9).Note); // <|im_end|> ends by its name

        static (string? Note, string Keys) Written(int end, params int[] ends)
        {
            var tokenizer = new GgmlVocabulary("gpt2", [.. "abcdefghi".Select(letter => $"{letter}"), "<|im_end|>"]) { Merges = [] }.ToTokenizer("here");
            var metadata = new SortedDictionary<string, GgufValue>(StringComparer.Ordinal);
            var note = GgufText.Write(new PromptFormat { StopTokens = ends }, tokenizer, end, metadata);
            return (note, string.Join(", ", metadata.Select(entry => $"{entry.Key} {entry.Value}")));
        }
    }

    private void Complains(string message, params (string Key, object Value)[] changes)
    {
        var path = _folder.File("changed.gguf");
        using (var file = GgufFile.Open(s_llama))
        {
            var writer = new GgufWriter();
            foreach (var (each, kept) in file.Metadata) writer.Metadata.Add(each, kept);
            foreach (var (key, value) in changes)
                writer.Metadata[key] = value is uint whole ? GgufValue.Of(whole) : value is float number ? GgufValue.Of(number) : GgufValue.Of((string)value);
            foreach (var tensor in file.Tensors.Values)
            {
                if (changes[0].Key.StartsWith("llama.rope", StringComparison.Ordinal) && tensor.Name == "rope_freqs.weight") continue;
                writer.Add(tensor.Name, Enum.Parse<GgufType>(tensor.Type), [.. tensor.Shape], stream =>
                {
                    var bytes = new byte[tensor.ByteCount];
                    file.ReadBytes(tensor.Name, bytes);
                    stream.Write(bytes);
                });
            }

            writer.Save(path);
        }

        var error = Assert.Throws<InvalidDataException>(() => ModelFolder.Load(path));
        Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }
}
