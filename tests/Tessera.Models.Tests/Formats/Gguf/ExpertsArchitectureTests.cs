using Tessera.Models.Conversion;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.Gguf;

/// <summary>What GGUF's architectures with experts hold and refuse. llama.cpp 0.5.0 continues the files of <c>olmoe</c>,
/// <c>qwen2-moe-all-layers</c>, <c>glm4-moe-mtp</c> and <c>gpt-oss</c> with the same 32 tokens.</summary>
public sealed class ExpertsArchitectureTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("olmoe", "olmoe")]
    [InlineData("qwen2-moe-all-layers", "qwen2moe")]
    [InlineData("glm4-moe-mtp", "glm4moe")]
    [InlineData("gpt-oss", "gpt-oss")]
    public void A_family_has_the_architecture_that_llama_cpp_has_for_it(string name, string architecture)
    {
        var (source, gguf) = (Fixture.Local($"families/{name}"), _folder.File("model.gguf"));
        ModelConversion.Convert(source, gguf, new ConversionOptions());
        var (there, back) = (ModelFolder.Load(source), ModelFolder.Load(gguf));
        using var file = GgufFile.Open(gguf);
        Assert.Equal(architecture, file.Text(GgufModel.ArchitectureKey));
        var options = (DecoderOptions)there.Config.Model with { MtpDepth = 0 };
        Assert.Equal(CanonicalOptions.Of(options).ToJsonString(), CanonicalOptions.Of(back.Config.Model).ToJsonString());
        var theirs = there.Model.Parameters().ToDictionary(own => own.Name, own => own.Parameter);
        foreach (var (parameter, own) in back.Model.Parameters()) Assert.Equal(theirs[parameter].Value.ToArray(), own.Value.ToArray());
    }

    [Fact]
    public void Layers_for_later_tokens_behind_the_last_one_are_not_read()
    {
        var (plain, longer) = (_folder.File("plain.gguf"), _folder.File("longer.gguf"));
        ModelConversion.Convert(Fixture.Local("families/glm4-moe-mtp"), plain, new ConversionOptions());
        using (var file = GgufFile.Open(plain))
        {
            var writer = new GgufWriter();
            foreach (var (key, value) in file.Metadata) writer.Metadata[key] = value;
            writer.Metadata["glm4moe.block_count"] = GgufValue.Of(3u);
            writer.Metadata["glm4moe.nextn_predict_layers"] = GgufValue.Of(1u);
            foreach (var tensor in file.Tensors.Values)
            {
                Add(tensor.Name);
                if (tensor.Name.StartsWith("blk.1.", StringComparison.Ordinal)) Add("blk.2." + tensor.Name["blk.1.".Length..]);

                void Add(string name) => writer.Add(name, Enum.Parse<GgufType>(tensor.Type), [.. tensor.Shape], stream =>
                {
                    var bytes = new byte[tensor.ByteCount];
                    file.ReadBytes(tensor.Name, bytes);
                    stream.Write(bytes);
                });
            }

            foreach (var name in new[] { "eh_proj", "enorm", "hnorm", "shared_head_norm" })
                writer.Add($"blk.2.nextn.{name}.weight", GgufType.F32, [1, 4], stream => stream.Write(new byte[16]));
            writer.Save(longer);
        }

        var (there, back) = (ModelFolder.Load(plain), ModelFolder.Load(longer));
        Assert.Equal(2, ((DecoderOptions)back.Config.Model).Decoder.Layers.Count);
        foreach (var (own, other) in there.Model.Parameters().Zip(back.Model.Parameters()))
            Assert.Equal(own.Parameter.Value.ToArray(), other.Parameter.Value.ToArray());
    }

    [Fact]
    public void What_an_architecture_cannot_say_is_refused_by_name()
    {
        var olmoe = Options("olmoe");
        Refuses("olmoe: it has fewer key and value heads than heads", Attention(olmoe, heads => heads with { KeyValueHeads = 2 }));
        Refuses("olmoe: its attention has biases", Attention(olmoe, heads => heads with { Bias = true }));
        Refuses("olmoe: its embeddings are tied", olmoe with { TieEmbeddings = true });
        Refuses("olmoe: its gates are not plain probabilities of the chosen experts", Experts(olmoe, experts => experts with { Router = new SoftmaxRouterOptions() }));

        var qwen = Options("qwen2-moe-all-layers");
        Refuses("qwen2moe: its attention has windows", Attention(qwen, heads => heads with { Pattern = new WindowPattern(4) }));
        Refuses("qwen2moe: it has not one shared expert with a gate", Experts(qwen, experts => experts with { Shared = 2 }));

        var oss = Options("gpt-oss");
        Refuses("gpt-oss: windows are not in the first of every two layers", oss with { Decoder = oss.Decoder with { Variants = null } });
        Refuses(
            "gpt-oss: its experts are not a clamped SwiGLU with biases, alpha 1.702 and limit 7",
            Experts(oss, experts => experts with { Expert = new ClampedSwiGluOptions(12) { Bias = true, Limit = 5 } }));

        var glm = Options("glm4-moe-qk-norm-groups");
        Refuses("glm4moe: a token may visit some groups of experts only", glm);
        Refuses("glm4moe: its attention's output has a bias", Attention(glm, heads => heads with { OutputBias = true }));

        // Those of before are not taken for what they are not.
        var llama = Attention(Options("llama-biases-linear"), heads => heads with { QueryKeyNorm = new Nn.Norms.RmsNormOptions(1e-5f), WholeQueryKeyNorm = true });
        Refuses("qwen3: the norms of queries and keys are over all heads together", llama);
        var mixtral = Experts(Options("mixtral-one-expert"), experts => experts with { Expert = new SwiGluOptions(12) { Bias = true } });
        Refuses("llama: its experts are not SwiGLU without biases", mixtral);
    }

    private static DecoderOptions Options(string name)
    {
        var config = HuggingFaceConfig.Load(Path.Combine(Fixture.Local($"families/{name}"), "config.json"));
        return CanonicalOptions.Sized((DecoderOptions)Family.Of(config).ReadConfig(config));
    }

    private static DecoderOptions Attention(DecoderOptions options, Func<MultiHeadOptions, MultiHeadOptions> change) =>
        options with { Decoder = options.Decoder with { Attention = change((MultiHeadOptions)options.Decoder.Attention) } };

    private static DecoderOptions Experts(DecoderOptions options, Func<ExpertsOptions, ExpertsOptions> change) =>
        options with { Decoder = options.Decoder with { FeedForward = change((ExpertsOptions)options.Decoder.FeedForward) } };

    private static void Refuses(string message, DecoderOptions options) => Assert.StartsWith(
        $"this model cannot be said in GGUF's architecture {message}",
        Assert.Throws<ArgumentException>(() => GgufArchitectures.For(options)).Message, StringComparison.Ordinal);
}
