using System.Text.Json.Nodes;
using Tessera.Models.Formats.Gguf;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Tests;

/// <summary>Formats of others say every size: where a recipe leaves one to follow from the width, they say what it is.</summary>
public sealed class UnsaidSizesTests
{
    private static readonly LatentOptions s_latent = new(2, 8, 8, 4, 8);

    public static TheoryData<string> Models => [.. s_models.Keys];

    private static readonly Dictionary<string, (DecoderOptions Unsaid, DecoderOptions Said)> s_models = new()
    {
        ["swiglu"] = (Decoder(new SwiGluOptions()), Decoder(new SwiGluOptions(64))),
        ["experts"] = (Decoder(new ExpertsOptions(4)), Decoder(new ExpertsOptions(4, 2, new SwiGluOptions(32), 0))),
        ["dense layers before experts"] = (
            Decoder(new ExpertsOptions(Shared: 1) { Router = new SigmoidRouterOptions() }, new SwiGluOptions()),
            Decoder(new ExpertsOptions(8, 2, new SwiGluOptions(24), 1) { Router = new SigmoidRouterOptions() }, new SwiGluOptions(64))),
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void A_family_and_GGUF_are_told_the_sizes(string name)
    {
        var (unsaid, said) = s_models[name];
        Assert.Equal(CanonicalOptions.Of(said).ToJsonString(), CanonicalOptions.Of(unsaid).ToJsonString());
        Assert.Equal(Config(said), Config(unsaid));
        Assert.Equal(Metadata(said), Metadata(unsaid));
        Assert.Equal(
            said.Build(SmallModels.Vocabulary, 1).Parameters().Select(own => $"{own.Name} {own.Parameter.Shape}"),
            unsaid.Build(SmallModels.Vocabulary, 1).Parameters().Select(own => $"{own.Name} {own.Parameter.Shape}"));
    }

    [Fact]
    public void GPT_2_is_told_the_size()
    {
        static DecoderOptions Gpt2(int? hidden) => Decoder(new GeluTanhOptions(hidden) { Bias = true }) with
        {
            Decoder = new TransformerOptions
            {
                Layers = 1, Attention = new MultiHeadOptions(2) { Bias = true }, Norm = new LayerNormOptions(),
                FeedForward = new GeluTanhOptions(hidden) { Bias = true },
                Position = new LearnedOptions(32),
            },
        };
        Assert.Equal(Config(Gpt2(96)), Config(Gpt2(null)));
        Assert.Equal(Metadata(Gpt2(96)), Metadata(Gpt2(null)));
        Assert.Contains("gpt2.feed_forward_length=96", Metadata(Gpt2(null)), StringComparison.Ordinal);
    }

    private static DecoderOptions Decoder(FeedForwardOptions feedForward, DenseOptions? first = null) => new()
    {
        Width = 24, EmbeddingScale = 1,
        Decoder = new TransformerOptions
        {
            Layers = 2, FeedForward = feedForward,
            Attention = first is null ? new MultiHeadOptions(2) { Position = new RotaryOptions() } : s_latent,
            Variants = first is null ? null : [new LayerVariant { Last = 0, FeedForward = first }],
        },
    };

    private static string Config(DecoderOptions options)
    {
        var config = new JsonObject();
        Family.For(options).WriteConfig(options, config);
        return config.ToJsonString();
    }

    private static string Metadata(DecoderOptions options)
    {
        var metadata = new SortedDictionary<string, GgufValue>(StringComparer.Ordinal);
        GgufArchitectures.For(options).Write(options, SmallModels.Vocabulary, metadata);
        return string.Join('\n', metadata.Select(pair => $"{pair.Key}={pair.Value}"));
    }
}
