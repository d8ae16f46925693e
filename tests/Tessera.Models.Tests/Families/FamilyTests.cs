using System.Text.Json.Nodes;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Heads;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;
using Tessera.Nn.Attention.Patterns;

namespace Tessera.Models.Tests.Families;

/// <summary>What families read from a config.json and write into one.</summary>
public sealed class FamilyTests
{
    private static readonly RotaryOptions s_rotary = new(500_000, Positions: 128) { Scaling = new Llama3Scaling(8, 32) };

    private static readonly Dictionary<string, DecoderOptions> s_options = new()
    {
        ["GPT-2"] = Decoder(
            new TransformerOptions
            {
                Layers = 3, Position = new LearnedOptions(50), Norm = new LayerNormOptions(1e-3f), FeedForward = new GeluTanhOptions(40) { Bias = true },
                Attention = new MultiHeadOptions(2) { Bias = true, ScoreScale = 1 },
                Variants =
                [
                    new LayerVariant { First = 1, Last = 1, Attention = new MultiHeadOptions(2) { Bias = true, ScoreScale = 1 / 2f } },
                    new LayerVariant { First = 2, Last = 2, Attention = new MultiHeadOptions(2) { Bias = true, ScoreScale = 1 / 3f } },
                ],
            }) with { TieEmbeddings = true },
        ["Llama"] = Decoder(Stack(Heads() with { Bias = true }, new GeGluOptions(24) { Bias = true }) with { Norm = new RmsNormOptions(1e-5f) }),
        ["Mistral"] = Decoder(Stack(Heads() with { Pattern = new WindowPattern(9) }, new SwiGluOptions(24))),
        ["Qwen2"] = Decoder(Stack(Heads() with { Bias = true, OutputBias = false }, new SwiGluOptions(24)) with
        {
            Layers = 5,
            Variants = [new LayerVariant { First = 1, Last = 2, Attention = Heads() with { Bias = true, OutputBias = false, Pattern = new WindowPattern(7) } }],
        }),
        ["Qwen3"] = Decoder(Stack(Heads() with { QueryKeyNorm = new RmsNormOptions() }, new SwiGluOptions(24))) with { TieEmbeddings = true },
        ["Mixtral"] = Decoder(Stack(Heads(), new ExpertsOptions(4, 2, new SwiGluOptions(24)))),
        ["Qwen3-MoE"] = Decoder(Stack(Heads() with { QueryKeyNorm = new RmsNormOptions() }, new ExpertsOptions(4, 2, new SwiGluOptions(12)) { Router = new SoftmaxRouterOptions(false) }) with
        {
            Layers = 3, Variants = [new LayerVariant { First = 1, Last = 1, FeedForward = new SwiGluOptions(24) }],
        }),
        ["OLMoE"] = Decoder(Stack(
            Heads() with { QueryKeyNorm = new RmsNormOptions(), WholeQueryKeyNorm = true },
            new ExpertsOptions(4, 2, new SwiGluOptions(12)) { Router = new SoftmaxRouterOptions(false) })),
        ["Qwen2-MoE"] = Decoder(Stack(
            Heads() with { Bias = true, OutputBias = false },
            new ExpertsOptions(4, 2, new SwiGluOptions(12), Shared: 1) { SharedHidden = 20, SharedGate = true, Router = new SoftmaxRouterOptions(false) }) with
        {
            Layers = 4,
            Variants =
            [
                new LayerVariant { First = 1, Last = 1, FeedForward = new SwiGluOptions(24) },
                new LayerVariant { First = 2, Last = 3, Attention = Heads() with { Bias = true, OutputBias = false, Pattern = new WindowPattern(7) } },
            ],
        }),
        ["gpt-oss"] = Decoder(Stack(
            Heads() with { Bias = true, Sinks = true },
            new ExpertsOptions(4, 2, new ClampedSwiGluOptions(12) { Bias = true, Limit = 5 }) { Router = new SoftmaxRouterOptions { Bias = true } }) with
        {
            Variants = [new LayerVariant { Last = 0, Attention = Heads() with { Bias = true, Sinks = true, Pattern = new WindowPattern(7) } }],
        }),
        ["GLM-4-MoE"] = Decoder(Stack(
            Heads() with { HeadWidth = 8, Bias = true, OutputBias = false, QueryKeyNorm = new RmsNormOptions(), Position = s_rotary with { Width = 4 } },
            new ExpertsOptions(8, 3, new SwiGluOptions(6), Shared: 1) { Router = new SigmoidRouterOptions { Scale = 2.5f, Groups = 2, ActiveGroups = 1 } }) with
        {
            Variants = [new LayerVariant { Last = 0, FeedForward = new SwiGluOptions(24) }],
        }) with { MtpDepth = 1 },
        ["DeepSeek-V2"] = Decoder(Stack(
            Latent(RotaryLayout.Interleaved) with { QLoraRank = null, Bias = true },
            new ExpertsOptions(8, 3, new SwiGluOptions(6), Shared: 2) { SharedBias = true, Router = new SoftmaxRouterOptions(false) { Scale = 16, Groups = 4, ActiveGroups = 2 } }) with
        {
            Variants = [new LayerVariant { Last = 0, FeedForward = new SwiGluOptions(24) { Bias = true } }],
        }),
        ["DeepSeek-V3"] = Decoder(Stack(
            Latent(RotaryLayout.Halves),
            new ExpertsOptions(8, 3, new SwiGluOptions(6), Shared: 1) { Router = new SigmoidRouterOptions { Scale = 2.5f, Groups = 2, ActiveGroups = 1 } }) with
        {
            Variants = [new LayerVariant { Last = 0, FeedForward = new SwiGluOptions(24) }],
        }) with { MtpDepth = 2 },
    };

    public static TheoryData<string> Names { get; } = [.. s_options.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Options_come_back_from_the_config_that_they_were_written_to(string name)
    {
        var family = Family.For(s_options[name]);
        Assert.Equal(name, family.Name);
        Assert.Equal(RecipeJson.Write(s_options[name]), RecipeJson.Write(Read(Written(family, s_options[name]))));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_table_of_names_has_each_parameter_once(string name)
    {
        var model = s_options[name].Build(20, seed: 1);
        var names = Family.For(s_options[name]).Names(s_options[name]);
        Assert.Equal(model.Parameters().Select(own => own.Name).Order(StringComparer.Ordinal), names.Layouts.Keys.Order(StringComparer.Ordinal));
    }

    /// <summary>What matters in training alone is not in a config.json.</summary>
    [Fact]
    public void Dropout_and_how_fast_biases_move_do_not_keep_a_model_from_being_written()
    {
        var options = s_options["DeepSeek-V3"];
        var trained = options with
        {
            Decoder = options.Decoder with
            {
                Dropout = 0.1f, FeedForward = ((ExpertsOptions)options.Decoder.FeedForward) with { Router = new SigmoidRouterOptions { Scale = 2.5f, Groups = 2, BiasRate = 0.01f } },
            },
        };
        Assert.Equal("DeepSeek-V3", Family.For(trained).Name);
    }

    [Fact]
    public void Defaults_that_a_recipe_leaves_out_are_written()
    {
        var config = new JsonObject();
        var options = Decoder(Stack(new MultiHeadOptions(4) { Position = new RotaryOptions() }, new SwiGluOptions(24)));
        Family.For(options).WriteConfig(options, config);
        Assert.Equal("llama", (string?)config["model_type"]);
        Assert.Equal("LlamaForCausalLM", (string?)config["architectures"]![0]);
        Assert.Equal((16, 4, 4, 4), ((int)config["hidden_size"]!, (int)config["num_attention_heads"]!, (int)config["num_key_value_heads"]!, (int)config["head_dim"]!));
    }

    [Fact]
    public void A_model_that_no_family_can_say_is_told_why_by_the_nearest()
    {
        var options = s_options["Llama"] with { EmbeddingScale = null, LogitSoftCap = 9 };
        var message = Assert.Throws<RecipeException>(() => Family.For(options)).Message;
        Assert.Equal(
            "no family of published models is made like this one; Granite comes nearest, but "
            + "model.logitSoftCap: is 9, of which a config.json of Granite can only say 0", message);
        var reasons = Family.Fits(options).ToDictionary(own => own.Family.Name, own => own.Reason);
        Assert.Equal("model.decoder.attention.kind: is multi-head; allowed for DeepSeek-V3: latent", reasons["DeepSeek-V3"]);
        Assert.All(reasons.Values, reason => Assert.DoesNotContain("Options", reason, StringComparison.Ordinal));
        Assert.Null(Assert.Single(Family.Fits(s_options["Llama"]), own => own.Family.Name == "Llama").Reason);
        Assert.Equal(
            "no family of published models is made like this one: none is of the kind encoder",
            Assert.Throws<RecipeException>(() => Family.For(SmallModels.Encoder)).Message);
        Assert.Equal(
            "model.kind: is encoder, which no Llama is",
            Assert.Throws<RecipeException>(() => Family.For(s_options["Llama"]).WriteConfig(SmallModels.Encoder, [])).Message);
        var labelled = Assert.Throws<RecipeException>(() => Family.For(s_options["Llama"] with { Head = new ClassesHeadOptions() })).Message;
        Assert.Contains("but model.head.kind: is \"classes\", of which a config.json of Llama can only say \"tokens\"", labelled, StringComparison.Ordinal);
        var capped = s_options["Llama"] with { Decoder = s_options["Llama"].Decoder with { Attention = Heads() with { SoftCap = 30 } } };
        Assert.Contains(
            "model.decoder.attention.softCap: is 30, of which a config.json of Llama can only say 0",
            Assert.Throws<RecipeException>(() => Family.For(capped)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"rope_parameters\": { \"rope_theta\": 5000.0, \"rope_type\": \"linear\", \"factor\": 2 }", "\"rope_theta\": 5000, \"rope_scaling\": { \"type\": \"linear\", \"factor\": 2.0 }")]
    [InlineData("\"rope_parameters\": { \"rope_theta\": 5000.0, \"rope_type\": \"dynamic\", \"factor\": 2 }", "\"rope_theta\": 5000, \"rope_scaling\": { \"rope_type\": \"dynamic\", \"factor\": 2.0 }")]
    [InlineData("\"rope_parameters\": { \"rope_theta\": 5000.0, \"rope_type\": \"default\" }", "\"rope_theta\": 5000, \"rope_scaling\": null")]
    [InlineData(
        "\"rope_parameters\": { \"rope_theta\": 5000.0, \"rope_type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 64, \"mscale\": 0.7, \"mscale_all_dim\": 0.9 }",
        "\"rope_theta\": 5000, \"original_max_position_embeddings\": 64, \"rope_scaling\": { \"type\": \"yarn\", \"factor\": null, \"beta_fast\": 32, \"beta_slow\": 0, \"mscale\": 0.7, \"mscale_all_dim\": 0.9 }")]
    [InlineData(
        "\"rope_parameters\": { \"rope_theta\": 5000.0, \"rope_type\": \"longrope\", \"factor\": 4, \"original_max_position_embeddings\": 64, \"short_factor\": [1, 2], \"long_factor\": [3, 4] }",
        "\"rope_theta\": 5000, \"original_max_position_embeddings\": 64, \"rope_scaling\": { \"type\": \"su\", \"short_factor\": [1.0, 2.0], \"long_factor\": [3.0, 4.0] }")]
    public void Both_layouts_of_rotary_positions_are_read(string today, string before)
    {
        Assert.Equal(RecipeJson.Write(Read(Llama(today))), RecipeJson.Write(Read(Llama(before))));

        static string Llama(string rope) => $"{{ \"model_type\": \"llama\", \"hidden_size\": 16, \"num_attention_heads\": 4, \"max_position_embeddings\": 256, {rope} }}";
    }

    [Fact]
    public void DeepSeek_multiplies_scores_where_yarn_says_so()
    {
        // (0.1 · 0.9 · ln 4 + 1)²
        Assert.Equal(1.2650996, Factor("\"rope_type\": \"yarn\", \"factor\": 4.0, \"mscale_all_dim\": 0.9"), 1e-6);
        Assert.Equal(1, Factor("\"rope_type\": \"yarn\", \"factor\": 4.0, \"mscale\": 0.9"));
        Assert.Equal(1, Factor("\"rope_type\": \"default\""));

        static float Factor(string rope) => ((LatentOptions)Read(
            $"{{ \"model_type\": \"deepseek_v2\", \"num_experts_per_tok\": 2, \"num_attention_heads\": 32, \"rope_parameters\": {{ \"rope_theta\": 10000, {rope} }} }}").Decoder.Attention).ScoreFactor;
    }

    [Fact]
    public void A_config_that_says_almost_nothing_is_the_familys_first_model()
    {
        var llama = Read("{ \"model_type\": \"llama\" }");
        Assert.Equal((4096, 32, 32), (llama.Width, llama.Decoder.Layers, ((MultiHeadOptions)llama.Decoder.Attention).Heads));
        Assert.Equal(4096, LlamaConfig.WindowOf(Read("{ \"model_type\": \"mistral\" }").Decoder.Attention));
        Assert.IsType<MultiHeadOptions>(Read("{ \"model_type\": \"mistral\", \"sliding_window\": null }").Decoder.Attention);
        Assert.Equal(128, ((MultiHeadOptions)Read("{ \"model_type\": \"qwen3\" }").Decoder.Attention).HeadWidth);
        Assert.Null(((MultiHeadOptions)Read("{ \"model_type\": \"qwen2\", \"use_sliding_window\": false, \"sliding_window\": 5 }").Decoder.Attention).HeadWidth);
        Assert.Equal(1e6f, ((RotaryOptions)((MultiHeadOptions)Read("{ \"model_type\": \"mixtral\" }").Decoder.Attention).Position!).Theta);
        var gpt2 = Read("{ \"model_type\": \"gpt2\" }");
        Assert.Equal((768, true, 3072), (gpt2.Width, gpt2.TieEmbeddings, ((DenseOptions)gpt2.Decoder.FeedForward).Hidden));
        Assert.Equal(128, ((ExpertsOptions)Read("{ \"model_type\": \"qwen3_moe\" }").Decoder.FeedForward).Routed);
        Assert.Equal(7, ((ExpertsOptions)Read("{ \"model_type\": \"qwen3_moe\", \"num_local_experts\": 7, \"num_experts_per_tok\": 2 }").Decoder.FeedForward).Routed);
        var oss = Read("{ \"model_type\": \"gpt_oss\" }");
        Assert.Equal((2880, 128, 18), (oss.Width, LlamaConfig.FirstWindow(oss.Decoder), oss.Decoder.Variants!.Count));
        Assert.Equal(
            new YarnScaling(32, 4096) { Truncate = false }, ((RotaryOptions)((MultiHeadOptions)oss.Decoder.Attention).Position!).Scaling);
        Assert.Equal(64, ((RotaryOptions)((MultiHeadOptions)Read("{ \"model_type\": \"glm4_moe\" }").Decoder.Attention).Position!).Width);
        var deepSeek = Read("{ \"model_type\": \"deepseek_v3\" }");
        Assert.Equal((7168, 61, 2), (deepSeek.Width, deepSeek.Decoder.Layers.Count, deepSeek.Decoder.Variants![0].Last!.Value));
        Assert.Null(((LatentOptions)Read("{ \"model_type\": \"deepseek_v3\", \"q_lora_rank\": null }").Decoder.Attention).QLoraRank);
    }

    [Theory]
    [InlineData("llama", "\"rope_scaling\": { \"type\": \"wide\" }", "rope_scaling.type is wide; allowed: default, linear, dynamic, yarn, llama3, longrope")]
    [InlineData("llama", "\"rope_parameters\": { \"rope_type\": \"linear\" }", "rope_parameters.factor is missing; allowed: a number")]
    [InlineData("llama", "\"rope_parameters\": { \"rope_type\": \"longrope\", \"short_factor\": [1] }", "rope_parameters.long_factor is missing; allowed: a list of numbers")]
    [InlineData("llama", "\"partial_rotary_factor\": 0.5", "partial_rotary_factor is 0.5; allowed: 1: this family turns whole heads")]
    [InlineData("llama", "\"hidden_act\": \"mish\"", "hidden_act is mish; allowed: silu, gelu, gelu_new, gelu_pytorch_tanh, relu, sigmoid")]
    [InlineData("llama", "\"num_hidden_layers\": 0", "num_hidden_layers is 0; allowed: 1 to 256")]
    [InlineData("llama", "\"quantization_config\": { \"quant_method\": \"awq\" }", "quantization_config.quant_method is awq; allowed: fp8, mxfp4, compressed-tensors of the format float-quantized, or weights that are not quantized")]
    [InlineData("olmoe", "\"clip_qkv\": 8.0", "clip_qkv is 8; allowed: null: queries, keys and values are not clipped")]
    [InlineData("gpt_oss", "\"hidden_act\": \"gelu\"", "hidden_act is gelu; allowed: silu")]
    [InlineData("gpt_oss", "\"sliding_window\": null", "sliding_window is null; allowed: a whole number, since layers have windows")]
    [InlineData("gpt_oss", "\"num_hidden_layers\": 1, \"layer_types\": [\"chunked\"]", "layer_types[0] is chunked; allowed: full_attention, sliding_attention")]
    [InlineData("qwen2_moe", "\"num_hidden_layers\": 1, \"layer_types\": [\"sliding_attention\"]", "layer_types[0] is sliding_attention; allowed: full_attention, since there is no sliding_window, or use_sliding_window is false")]
    [InlineData("glm4_moe", "\"partial_rotary_factor\": 1.5", "partial_rotary_factor is 1.5; allowed: above 0, up to 1")]
    [InlineData("gpt2", "\"activation_function\": \"swoosh\"", "activation_function is swoosh; allowed: silu, gelu, gelu_new, gelu_pytorch_tanh, relu, relu2, tanh, sigmoid")]
    [InlineData("gpt2", "\"add_cross_attention\": true", "add_cross_attention is true; allowed: false")]
    [InlineData("gpt2", "\"n_head\": 7", "n_head is 7; allowed: a divisor of n_embd, 768")]
    [InlineData("qwen2", "\"layer_types\": [\"full_attention\"]", "layer_types is a list of 1; allowed: one for each of the 32 layers")]
    [InlineData("qwen3", "\"num_hidden_layers\": 1, \"layer_types\": [\"chunked\"]", "layer_types[0] is chunked; allowed: full_attention, sliding_attention")]
    [InlineData("qwen3", "\"num_hidden_layers\": 1, \"layer_types\": [\"sliding_attention\"]", "layer_types[0] is sliding_attention; allowed: full_attention, since there is no sliding_window, or use_sliding_window is false")]
    [InlineData("deepseek_v2", "\"hidden_size\": 64", "num_experts_per_tok is missing; allowed: a whole number")]
    [InlineData("deepseek_v2", "\"num_experts_per_tok\": 2, \"topk_method\": \"noaux_tc\"", "topk_method is noaux_tc; allowed: greedy, group_limited_greedy")]
    [InlineData("deepseek_v2", "\"num_experts_per_tok\": 2, \"topk_method\": \"group_limited_greedy\"", "n_group is missing; allowed: a whole number")]
    [InlineData("deepseek_v3", "\"scoring_func\": \"softmax\"", "scoring_func is softmax; allowed: sigmoid")]
    [InlineData("deepseek_v3", "\"num_key_value_heads\": 4", "num_key_value_heads is 4; allowed: as num_attention_heads, 128: latent attention has no fewer")]
    public void What_a_family_cannot_be_is_named(string type, string keys, string message)
    {
        var error = Assert.Throws<InvalidDataException>(() => Read($"{{ \"model_type\": \"{type}\", {keys} }}"));
        Assert.Equal($"config.json: {message}", error.Message);
    }

    private static MultiHeadOptions Heads() => new(4) { KeyValueHeads = 2, HeadWidth = 6, Position = s_rotary };

    private static LatentOptions Latent(RotaryLayout layout) => new(4, 6, 4, 4, 6)
    {
        QLoraRank = 8, Position = new RotaryOptions(10_000, layout, 256) { Scaling = new YarnScaling(4, 64) { Mscale = 1, MscaleAllDim = 1 } },
        ScoreFactor = (float)Math.Pow((0.1 * Math.Log(4)) + 1, 2),
    };

    private static TransformerOptions Stack(MixerOptions attention, FeedForwardOptions feedForward) => new() { Layers = 2, Attention = attention, FeedForward = feedForward };

    private static DecoderOptions Decoder(TransformerOptions stack) => new() { Width = 16, EmbeddingScale = 1, Decoder = stack };

    private static string Written(Family family, DecoderOptions options)
    {
        var config = new JsonObject();
        family.WriteConfig(options, config);
        return config.ToJsonString();
    }

    private static DecoderOptions Read(string json)
    {
        var config = HuggingFaceConfig.Parse(json, "config.json");
        return (DecoderOptions)Family.Of(config).ReadConfig(config);
    }
}
