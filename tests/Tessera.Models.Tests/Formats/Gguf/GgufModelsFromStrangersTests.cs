using FsCheck;
using FsCheck.Fluent;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Tests.Formats;
using Tessera.Testing;

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
    [InlineData("general.architecture", "phi3", "metadata 'general.architecture' is 'phi3'; supported: llama, qwen2, qwen3, qwen3moe, deepseek2, gpt2")]
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
    public void What_is_wrong_is_named(string key, object value, string message)
    {
        var path = _folder.File("changed.gguf");
        using (var file = GgufFile.Open(s_llama))
        {
            var writer = new GgufWriter();
            foreach (var (each, kept) in file.Metadata) writer.Metadata.Add(each, kept);
            writer.Metadata[key] = value is uint number ? GgufValue.Of(number) : GgufValue.Of((string)value);
            foreach (var tensor in file.Tensors.Values)
            {
                if (key.StartsWith("llama.rope", StringComparison.Ordinal) && tensor.Name == "rope_freqs.weight") continue;
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
