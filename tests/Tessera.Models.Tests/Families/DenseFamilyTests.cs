using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Nn.Attention;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Tests.Families;

/// <summary>What the dense families after Llama read from a config.json and write into one. What they compute is compared with
/// transcriptions in Fixtures/families/make_dense_families.py.</summary>
public sealed class DenseFamilyTests
{
    private static readonly RmsNormOptions s_offset = new(1e-6f, UnitOffset: true);

    private static readonly MultiHeadOptions s_gemma = Heads() with { ScoreScale = (float)(1 / Math.Sqrt(24)), Position = new RotaryOptions(Positions: 64) };

    private static readonly Dictionary<string, DecoderOptions> s_options = new()
    {
        ["Gemma 2"] = Gemma(
            s_gemma with { SoftCap = 50, Pattern = new WindowPattern(9) },
            new LayerVariant { First = 1, Every = 2, Attention = s_gemma with { SoftCap = 50 } }, layers: 6) with { LogitSoftCap = 30 },
        ["Gemma 3"] = Gemma(
            s_gemma with { QueryKeyNorm = s_offset, Pattern = new WindowPattern(9) },
            new LayerVariant
            {
                First = 5, Every = 6,
                Attention = s_gemma with
                {
                    QueryKeyNorm = s_offset, Position = new RotaryOptions(1e6f, Positions: 64) { Scaling = new LinearScaling(8) },
                },
            },
            layers: 12),
        ["Phi-3"] = Decoder(Stack(Heads() with
        {
            HeadWidth = 8, Pattern = new WindowPattern(40),
            Position = new RotaryOptions(Positions: 64) { Width = 6, Scaling = new LongScaling(16, [1, 2, 3], [4, 5, 6]) { Factor = 4 } },
        })),
        ["OLMo 2"] = Decoder(Stack(Heads() with { QueryKeyNorm = new RmsNormOptions(1e-5f), WholeQueryKeyNorm = true }) with
        {
            Norm = new RmsNormOptions(1e-5f), NormPlacement = NormPlacement.ResidualPostNorm,
        }),
        ["StarCoder2"] = Decoder(Stack(Heads() with { Bias = true }) with
        {
            Norm = new LayerNormOptions(1e-3f), FeedForward = new GeluTanhOptions(24) { Bias = true },
        }) with { TieEmbeddings = true },
        ["GPT-NeoX"] = Decoder(Stack(new MultiHeadOptions(4) { Position = new RotaryOptions(Positions: 64) { Width = 2 } }) with
        {
            Norm = new LayerNormOptions(1e-3f), NormPlacement = NormPlacement.Parallel, FeedForward = new GeluOptions(24) { Bias = true },
        }),
        ["Granite"] = Decoder(Stack(Heads() with { ScoreScale = 0.0078125f }) with { ResidualScale = 0.22f }) with
        {
            EmbeddingScale = 12, LogitScale = (float)(1 / 13.0),
        },
        ["SmolLM3"] = Decoder(Stack(Heads()) with
        {
            Layers = 8, Variants = [new LayerVariant { First = 3, Every = 4, Attention = Heads() with { Position = null } }],
        }),
        ["Cohere"] = Decoder(Stack(Heads() with
        {
            QueryKeyNorm = new LayerNormOptions(1e-5f, Bias: false), PerHeadQueryKeyNorm = true,
            Position = new RotaryOptions(8e6f, RotaryLayout.Interleaved, 64),
        }) with { Norm = new LayerNormOptions(1e-5f, Bias: false), NormPlacement = NormPlacement.ParallelOneNorm }) with
        {
            TieEmbeddings = true, LogitScale = 0.8f,
        },
        ["Cohere2"] = Decoder(Stack(
            Heads() with { Pattern = new WindowPattern(9), Position = new RotaryOptions(50000, RotaryLayout.Interleaved, 64) }) with
        {
            Layers = 8, Norm = new LayerNormOptions(1e-5f, Bias: false), NormPlacement = NormPlacement.ParallelOneNorm,
            Variants = [new LayerVariant { First = 3, Every = 4, Attention = Heads() with { Position = null } }],
        }) with { TieEmbeddings = true, LogitScale = 0.25f },
    };

    public static TheoryData<string> Names { get; } = [.. s_options.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Options_come_back_from_the_config_that_they_were_written_to(string name)
    {
        var (options, config) = (s_options[name], new JsonObject());
        var family = Family.For(options);
        Assert.Equal(name, family.Name);
        family.WriteConfig(options, config);
        Assert.Equal(family.Architecture, (string?)config["architectures"]![0]);
        Assert.Null(RecipeJson.FirstDifference(RecipeJson.Tree(Said(options)), RecipeJson.Tree(Said(Read(config.ToJsonString())))));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_table_of_names_has_each_parameter_once(string name)
    {
        var model = s_options[name].Build(20, seed: 1);
        var names = Family.For(s_options[name]).Names(s_options[name]);
        Assert.Equal(
            model.Parameters().Select(own => own.Name).Order(StringComparer.Ordinal), names.Layouts.Keys.Order(StringComparer.Ordinal));
    }

    /// <summary>As the configuration classes of transformers 5 have them.</summary>
    [Fact]
    public void A_config_that_says_almost_nothing_is_the_familys_first_model()
    {
        var gemma2 = Read("{ \"model_type\": \"gemma2\" }");
        Assert.Equal((2304, 26, 30f, true), (gemma2.Width, gemma2.Decoder.Layers.Count, gemma2.LogitSoftCap, gemma2.TieEmbeddings));
        Assert.Null(gemma2.EmbeddingScale); // √width
        Assert.Equal([4096, null, 4096, null], Windows(gemma2).Take(4));
        Assert.Equal((256, 1 / 16f, 50f), (Attention(gemma2).HeadWidth, Attention(gemma2).ScoreScale, Attention(gemma2).SoftCap));

        var gemma3 = Read("{ \"model_type\": \"gemma3_text\" }");
        Assert.Equal([4096, 4096, 4096, 4096, 4096, null, 4096], Windows(gemma3).Take(7));
        Assert.Equal((10000f, 1e6f), (Rotary(gemma3, 0)!.Theta, Rotary(gemma3, 5)!.Theta));
        Assert.Equal(0, gemma3.LogitSoftCap);

        var phi3 = Read("{ \"model_type\": \"phi3\" }");
        Assert.Equal((3072, 32, 1e-5f, 8192), (phi3.Width, Attention(phi3).Heads, phi3.Decoder.Norm.Epsilon, Hidden(phi3)));
        var olmo2 = Read("{ \"model_type\": \"olmo2\" }");
        Assert.Equal((1e-5f, true, false), (olmo2.Decoder.Norm.Epsilon, Attention(olmo2).WholeQueryKeyNorm, olmo2.TieEmbeddings));
        var starcoder2 = Read("{ \"model_type\": \"starcoder2\" }");
        Assert.Equal((24, 2, true, true), (Attention(starcoder2).Heads, Attention(starcoder2).KeyValueHeads, Attention(starcoder2).Bias, starcoder2.TieEmbeddings));
        Assert.IsType<GeluTanhOptions>(starcoder2.Decoder.FeedForward);
        var neox = Read("{ \"model_type\": \"gpt_neox\" }");
        Assert.Equal((6144, 44, 24), (neox.Width, neox.Decoder.Layers.Count, Rotary(neox, 0)!.Width)); // a quarter of 96
        Assert.Equal(NormPlacement.Parallel, neox.Decoder.NormPlacement);
        var granite = Read("{ \"model_type\": \"granite\" }");
        Assert.Equal((1f, 1f, 1f, 1f), (granite.EmbeddingScale, granite.LogitScale, granite.Decoder.ResidualScale, Attention(granite).ScoreScale));
        var smol = Read("{ \"model_type\": \"smollm3\" }");
        Assert.Equal([2e6f, 2e6f, 2e6f, null, 2e6f], Enumerable.Range(0, 5).Select(layer => Rotary(smol, layer)?.Theta));
        var cohere = Read("{ \"model_type\": \"cohere\" }");
        Assert.Equal((0.0625f, 500000f, RotaryLayout.Interleaved), (cohere.LogitScale, Rotary(cohere, 0)!.Theta, Rotary(cohere, 0)!.Layout));
        var cohere2 = Read("{ \"model_type\": \"cohere2\" }");
        Assert.Equal([4096, 4096, 4096, null, 4096], Windows(cohere2).Take(5));
        Assert.Equal([false, false, false, true], Enumerable.Range(0, 4).Select(layer => Rotary(cohere2, layer) is null));
    }

    [Theory]
    [InlineData(
        "gemma3_text", "\"rope_theta\": 1000, \"rope_local_base_freq\": 50, \"sliding_window_pattern\": 3, \"rope_scaling\": { \"rope_type\": \"linear\", \"factor\": 8 }",
        "\"layer_types\": [\"sliding_attention\", \"sliding_attention\", \"full_attention\"], \"rope_parameters\": { \"full_attention\": { \"rope_type\": \"linear\", \"factor\": 8, \"rope_theta\": 1000 }, \"sliding_attention\": { \"rope_type\": \"default\", \"rope_theta\": 50 } }")]
    [InlineData("gpt_neox", "\"rotary_pct\": 0.5, \"rotary_emb_base\": 500", "\"rope_parameters\": { \"rope_type\": \"default\", \"rope_theta\": 500, \"partial_rotary_factor\": 0.5 }")]
    [InlineData(
        "phi3", "\"rope_theta\": 500, \"partial_rotary_factor\": 0.75, \"max_position_embeddings\": 8192, \"rope_scaling\": { \"type\": \"su\", \"short_factor\": [1], \"long_factor\": [2] }",
        "\"max_position_embeddings\": 8192, \"rope_parameters\": { \"rope_theta\": 500, \"rope_type\": \"longrope\", \"original_max_position_embeddings\": 7, \"partial_rotary_factor\": 0.75, \"short_factor\": [1], \"long_factor\": [2] }")]
    [InlineData("cohere2", "\"sliding_window_pattern\": 2", "\"layer_types\": [\"sliding_attention\", \"full_attention\", \"sliding_attention\"]")]
    [InlineData("smollm3", "\"no_rope_layer_interval\": 2", "\"no_rope_layers\": [1, 0, 1]")]
    public void What_older_versions_wrote_means_what_newer_ones_write(string type, string before, string today)
    {
        Assert.Equal(RecipeJson.Write(Read(Config(before))), RecipeJson.Write(Read(Config(today))));

        string Config(string keys) => $"{{ \"model_type\": \"{type}\", \"num_hidden_layers\": 3, \"hidden_size\": 96, \"num_attention_heads\": 12, \"num_key_value_heads\": 4, {keys} }}";
    }

    [Theory]
    [InlineData("gemma3_text", "\"attn_logit_softcapping\": 50", "attn_logit_softcapping is a number; allowed: null: this family does not cap scores")]
    [InlineData("gemma2", "\"use_bidirectional_attention\": true", "use_bidirectional_attention is true; allowed: false: tokens see those before them")]
    [InlineData("gemma2", "\"query_pre_attn_scalar\": 0", "query_pre_attn_scalar is 0; allowed: a number above 0")]
    [InlineData("gemma2", "\"hidden_activation\": \"mish\"", "hidden_activation is mish; allowed: silu, gelu, gelu_new, gelu_pytorch_tanh, relu, sigmoid")]
    [InlineData("gemma2", "\"num_hidden_layers\": 1, \"sliding_window\": null, \"layer_types\": [\"sliding_attention\"]", "layer_types[0] is sliding_attention; allowed: full_attention, since there is no sliding_window")]
    [InlineData("gemma3", "\"vocab_size\": 9", "text_config is missing; allowed: an object { … }")]
    [InlineData("gpt_neox", "\"num_attention_heads\": 7", "num_attention_heads is 7; allowed: a divisor of hidden_size, 6144")]
    [InlineData("gpt_neox", "\"rotary_pct\": 1.5", "rotary_pct is 1.5; allowed: above 0, up to 1")]
    [InlineData("granite", "\"partial_rotary_factor\": 0.5", "partial_rotary_factor is 0.5; allowed: 1: this family turns whole heads")]
    [InlineData("granite", "\"logits_scaling\": 0", "logits_scaling is 0; allowed: a number above 0")]
    [InlineData("granite", "\"residual_multiplier\": -1", "residual_multiplier is -1; allowed: a number above 0")]
    [InlineData("smollm3", "\"no_rope_layers\": [1, 0]", "no_rope_layers is a list of 2; allowed: one for each of the 36 layers")]
    [InlineData("cohere2", "\"use_qk_norm\": true", "use_qk_norm is true; allowed: false: this family has no norms of queries and keys")]
    public void What_a_family_cannot_be_is_named(string type, string keys, string message)
    {
        var error = Assert.Throws<InvalidDataException>(() => Read($"{{ \"model_type\": \"{type}\", {keys} }}"));
        Assert.Equal($"config.json: {message}", error.Message);
    }

    [Theory]
    [InlineData("qwen2", new[] { 3, 4, 5 })]
    [InlineData("qwen3", new[] { 3, 4, 5 })]
    [InlineData("qwen2_moe", new[] { 0, 2 })]
    public void Where_a_Qwen_does_not_say_which_layers_have_windows_max_window_layers_tells(string type, int[] layers)
    {
        var options = Read(
            $"{{ \"model_type\": \"{type}\", \"num_hidden_layers\": 6, \"use_sliding_window\": true, \"sliding_window\": 5, \"max_window_layers\": 3 }}");
        Assert.Equal(Enumerable.Range(0, 6).Select(layer => layers.Contains(layer) ? 5 : (int?)null), Windows(options));
    }

    [Fact]
    public void The_vocabulary_of_a_model_with_images_is_that_of_its_text_part()
    {
        var config = HuggingFaceConfig.Parse("{ \"model_type\": \"gemma3\", \"text_config\": { \"vocab_size\": 24 } }", "config.json");
        Assert.Equal(24, Family.Of(config).Vocabulary(config));
        var unsaid = HuggingFaceConfig.Parse("{ \"model_type\": \"gemma3\", \"text_config\": { } }", "config.json");
        Assert.Equal(262208, Family.Of(unsaid).Vocabulary(unsaid));
    }

    private static MultiHeadOptions Heads() => new(4) { KeyValueHeads = 2, HeadWidth = 6, Position = new RotaryOptions(Positions: 64) };

    private static TransformerOptions Stack(MultiHeadOptions attention) => new() { Layers = 2, Attention = attention, FeedForward = new SwiGluOptions(24) };

    private static DecoderOptions Decoder(TransformerOptions stack) => new() { Width = 16, EmbeddingScale = 1, Decoder = stack };

    private static DecoderOptions Gemma(MultiHeadOptions attention, LayerVariant variant, int layers) => new()
    {
        Width = 16, TieEmbeddings = true,
        Decoder = new TransformerOptions
        {
            Layers = layers, Norm = s_offset, NormPlacement = NormPlacement.Sandwich, Attention = attention, Variants = [variant],
            FeedForward = new GeGluTanhOptions(24),
        },
    };

    /// <summary>The options, with the heads said that are left to the width.</summary>
    private static DecoderOptions Said(DecoderOptions options)
    {
        var attention = (MultiHeadOptions)options.Decoder.Attention;
        var sizes = attention.SizesIn(options.Width);
        return options with
        {
            Decoder = options.Decoder with { Attention = attention with { KeyValueHeads = sizes.KeyValueHeads, HeadWidth = sizes.HeadWidth } },
        };
    }

    private static MultiHeadOptions Attention(DecoderOptions options) => (MultiHeadOptions)options.Decoder.Attention;

    private static RotaryOptions? Rotary(DecoderOptions options, int layer) =>
        (RotaryOptions?)((MultiHeadOptions)options.Decoder.MixerOf(layer).Options).Position;

    private static IEnumerable<int?> Windows(DecoderOptions options) =>
        Enumerable.Range(0, options.Decoder.Layers).Select(layer => LlamaConfig.WindowOf(options.Decoder.MixerOf(layer).Options));

    private static int? Hidden(DecoderOptions options) => ((DenseOptions)options.Decoder.FeedForward).Hidden;

    private static DecoderOptions Read(string json)
    {
        var config = HuggingFaceConfig.Parse(json, "config.json");
        return (DecoderOptions)Family.Of(config).ReadConfig(config);
    }
}
