using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Tessera.Models.Recipes;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Heads;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Nn.Recurrence;
using Tessera.Tensors;
using Tessera.Nn.Mixers;
using Tessera.Nn.Attention.Patterns;

namespace Tessera.Models.Tests;

/// <summary>Every kind of part can be written, read back and completed by an editor.</summary>
public sealed class RecipeKindTests
{
    private static readonly TransformerOptions s_stack = new()
    {
        Layers = 2,
        Attention = new MultiHeadOptions(2),
        FeedForward = new ReluOptions(4),
    };

    [Fact]
    public void Attentions_come_back() => ComeBack<MixerOptions>(
            new MultiHeadOptions(4),
            new MultiHeadOptions(4)
            {
                KeyValueHeads = 2,
                HeadWidth = 5,
                Bias = true,
                Position = new RotaryOptions(500.5f, RotaryLayout.Interleaved, 77),
            },
            new MultiHeadOptions(4)
            {
                OutputBias = true,
                QueryKeyNorm = new RmsNormOptions(),
                ScoreScale = 0.5f,
                SoftCap = 50,
                Sinks = true,
            },
        new MultiHeadOptions(4) { Pattern = new WindowPattern(16) }, new LatentOptions(4, 16, 8, 8, 8) { QLoraRank = 12 },
        new LstmMixerOptions(5), new GruMixerOptions());

    [Fact]
    public void Positions_come_back() => ComeBack<PositionOptions>(
            new RotaryOptions(), new SinusoidalOptions(), new SinusoidalOptions(9), new LearnedOptions(7), new AlibiOptions(),
            new AlibiOptions(Learned: true), new RelativePositionBiasOptions(8, 20));

    [Fact]
    public void Norms_come_back() =>
        ComeBack<NormOptions>(new RmsNormOptions(), new LayerNormOptions(), new LayerNormOptions(1e-3f, Bias: false));

    [Fact]
    public void Routers_come_back() => ComeBack<RouterOptions>(
            new SoftmaxRouterOptions(),
            new SoftmaxRouterOptions(false)
            {
                Scale = 1.5f,
                Groups = 4,
                ActiveGroups = 2,
            },
            new SigmoidRouterOptions(),
            new SigmoidRouterOptions(false)
            {
                Bias = false,
                BiasRate = 0.25f,
                Groups = 2,
            },
            new TwoStageRouterOptions());

    [Fact]
    public void Dense_feed_forwards_come_back() =>
        ComeBack<DenseOptions>(
            new SwiGluOptions(3) { Bias = true }, new GeGluOptions(4), new GeGluTanhOptions(4), new GeluOptions(5), new GeluTanhOptions(5),
            new SiluOptions(5), new ReluOptions(6), new ReGluOptions(6), new GluOptions(6), new ClampedSwiGluOptions(6) { Alpha = 1, Limit = 5 },
            new ReluSquaredOptions(6), new TanhOptions(6),
            new SigmoidOptions(6));

    [Fact]
    public void Feed_forwards_come_back() => ComeBack<FeedForwardOptions>(
            new SwiGluOptions(3) { Bias = true }, new GeGluOptions(4), new GeGluTanhOptions(4), new GeluOptions(5), new GeluTanhOptions(5),
            new SiluOptions(5), new ReluOptions(6), new ReGluOptions(6), new GluOptions(6), new ClampedSwiGluOptions(6) { Alpha = 1, Limit = 5 },
            new ReluSquaredOptions(6), new TanhOptions(6),
            new SigmoidOptions(6), new ExpertsOptions(4, 2, new GeluOptions(3)),
            new ExpertsOptions(4, 2, new SwiGluOptions(3), Shared: 2) { Router = new TwoStageRouterOptions() });

    [Fact]
    public void Variants_of_layers_come_back()
    {
        var options = s_stack with
        {
            NormPlacement = NormPlacement.ParallelOneNorm,
            Variants =
            [
                new LayerVariant
                {
                    First = 1,
                    Every = 2,
                    Attention = new MultiHeadOptions(2) { Pattern = new WindowPattern(8) },
                },
                new LayerVariant { Last = 0, FeedForward = new ReluOptions(9) },
            ],
        };
        var text = RecipeJson.Write(new Holder<EncoderOptions> { Part = options });
        var read = RecipeJson.Read<Holder<EncoderOptions>>(RecipeJson.Parse(text, "test"));
        Assert.Equal(options.Variants, ((TransformerOptions)read.Part).Variants!);
        Assert.Equal(text, RecipeJson.Write(read));
        Assert.Contains("\"normPlacement\": \"parallel-one-norm\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Encoders_come_back() => ComeBack<EncoderOptions>(
            s_stack,
            s_stack with
            {
                Norm = new LayerNormOptions(),
                Position = new SinusoidalOptions(),
                Dropout = 0.125f,
                CrossAttention = new MultiHeadOptions(1),
            },
            new LstmOptions { Hidden = 3 },
            new LstmOptions
            {
                Hidden = 3,
                Layers = 4,
                Bidirectional = true,
                Residual = true,
            },
            new GruOptions { Hidden = 2 });

    [Fact]
    public void Models_come_back() => ComeBack<ModelOptions>([.. SmallModels.All.Values, SmallModels.Encoder]);

    [Fact]
    public void Heads_come_back() => ComeBack<HeadOptions>(
            new TokensHeadOptions(),
            new TokensHeadOptions
            {
                Bias = true,
                Transform = new() { Activation = Activation.Relu, Norm = new RmsNormOptions(0.5f) },
            },
            new ClassesHeadOptions
            {
                Pooling = Pooling.Mean,
                Dense = true,
                Dropout = 0.125f,
            },
            new TagsHeadOptions { Dropout = 0.5f },
            new SpansHeadOptions(),
            new ValueHeadOptions { PerToken = true });

    [Fact]
    public void Kinds_may_stand_after_their_options()
    {
        var read = RecipeJson.Read<Holder<NormOptions>>(RecipeJson.Parse("""{ "part": { "epsilon": 0.5, "kind": "rms" } }""", "test"));
        Assert.Equal(new RmsNormOptions(0.5f), read.Part);
    }

    [Fact]
    public void The_schema_is_JSON_and_knows_every_kind()
    {
        var text = RecipeJson.Schema<ModelConfig>().ToJsonString();
        Assert.IsType<JsonObject>(JsonNode.Parse(text));
        var kinds = typeof(MixerOptions).Assembly.GetTypes().Concat(typeof(ModelOptions).Assembly.GetTypes())
            .SelectMany(type => type.GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false))
            .Select(derived => (string)derived.TypeDiscriminator!).Distinct().ToList();
        Assert.True(kinds.Count >= 17, $"only {kinds.Count} kinds found");
        Assert.All(kinds, kind => Assert.Contains($"\"const\":\"{kind}\"", text, StringComparison.Ordinal));
        Assert.Contains("\"enum\":[\"halves\",\"interleaved\"]", text, StringComparison.Ordinal);
    }

    /// <summary>Each sample is equal after writing and reading, and no kind is without a sample.</summary>
    private static void ComeBack<T>(params T[] samples) where T : class
    {
        var kinds = typeof(T).GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false).Select(derived => derived.DerivedType);
        Assert.Equal(kinds.Select(kind => kind.Name).Order(), samples.Select(sample => sample.GetType().Name).Distinct().Order());
        foreach (var sample in samples)
        {
            var text = RecipeJson.Write(new Holder<T> { Part = sample });
            var read = RecipeJson.Read<Holder<T>>(RecipeJson.Parse(text, "test"));
            Assert.Equal(sample, read.Part);
            Assert.NotSame(sample, read.Part);
        }
    }

    public sealed record Holder<T>
    {
        public required T Part { get; init; }
    }
}
