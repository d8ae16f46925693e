using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>
/// gpt-oss: heads with sinks, windows in every other layer, biases everywhere, a clamped SwiGLU in the experts, whose gates are a softmax
/// over those chosen. Checkpoints stack the experts of a layer: in MXFP4, or as matrices that are turned, with gate and up interleaved.
/// <para>OpenAI 2025, <see href="https://arxiv.org/abs/2508.10925"/>.</para>
/// </summary>
internal sealed class GptOssFamily : DecoderFamily
{
    private const string Blocks = "_blocks";

    public override string Name => "gpt-oss";

    public override IReadOnlyList<string> ModelTypes => ["gpt_oss"];

    public override string Architecture => "GptOssForCausalLM";

    public override TensorNames Names(DecoderOptions options) => Names(options, _ => false);

    public override TensorNames Names(ModelOptions options, TensorSource checkpoint) =>
        Names((DecoderOptions)options, name => checkpoint.Tensors.ContainsKey(name + Blocks));

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var activation = config.Text("hidden_act", "silu");
        config.Require(activation == "silu", "hidden_act", activation, "silu");
        var layers = config.Layers("num_hidden_layers", 36);
        var stack = new TransformerOptions
        {
            Layers = layers,
            Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-5)),
            Attention = new MultiHeadOptions(config.Whole("num_attention_heads", 64))
            {
                KeyValueHeads = config.WholeOrNull("num_key_value_heads", 8),
                HeadWidth = config.WholeOrNull("head_dim", 64),
                Bias = config.Truth("attention_bias", true),
                Sinks = true,
                Position = Positions(config),
            },
            FeedForward = Experts(config),
        };
        var window = config.WholeOrNull("sliding_window", 128);
        var has = LayerTypes.Read(config, layers, hasWindow: true, layer => layer % 2 == 0);
        config.Require(window is not null || !has.Contains(true), "sliding_window", "null", "a whole number, since layers have windows");
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 2880),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = window is { } keys ? LlamaConfig.WithWindows(stack, has, keys) : stack,
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var experts = Part<ExpertsOptions>(decoder.FeedForward, "feedForward");
        var expert = experts.Expert as ClampedSwiGluOptions
            ?? throw new RecipeException(
                "model.decoder.feedForward.expert.kind",
                $"is {Parts.KindOf(experts.Expert.GetType())}, of which a {HuggingFaceConfig.File} of {Name} can only say clamped-swiglu");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["sliding_window"] = LayerTypes.Write(decoder, config);
        config["intermediate_size"] = expert.Hidden;
        config["num_local_experts"] = experts.Routed;
        config["num_experts_per_tok"] = experts.Active;
        config["hidden_act"] = "silu";
        config["swiglu_alpha"] = expert.Alpha;
        config["swiglu_limit"] = expert.Limit;
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }

    private static ExpertsOptions Experts(HuggingFaceConfig config) => new(
        config.Whole(config.Names("num_local_experts") ? "num_local_experts" : "num_experts", 128),
        config.Whole(config.Names("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token", 4),
        new ClampedSwiGluOptions(config.Whole("intermediate_size", 2880))
        {
            Bias = true,
            Alpha = (float)config.Number("swiglu_alpha", 1.702),
            Limit = (float)config.Number("swiglu_limit", 7),
        })
    {
        Router = new SoftmaxRouterOptions(Normalise: true) { Bias = true },
    };

    /// <summary>Where nothing is said, the positions of the published models: a YaRN that does not round.</summary>
    private static RotaryOptions Positions(HuggingFaceConfig config)
    {
        const int Longest = 131072, Trained = 4096;
        const double Theta = 150000, Factor = 32;
        var said = RotaryConfig.Read(config, Longest, Theta);
        return config.Has("rope_scaling") || config.Has("rope_parameters")
            ? said
            : said with { Scaling = new YarnScaling(Factor, Trained) { Truncate = false } };
    }

    private static TensorNames Names(DecoderOptions options, Func<string, bool> isInBlocks)
    {
        var names = new TensorNames { Prefix = LlamaNames.Prefix };
        LlamaNames.Ends(names, options);
        for (var layer = 0; layer < options.Decoder.Layers; layer++)
        {
            var (ours, theirs) = ($"decoder.layers.{layer}.", $"{LlamaNames.Prefix}layers.{layer}.");
            LlamaNames.Norms(names, ours, theirs, options.Decoder);
            LlamaNames.Attention(names, $"{ours}attention.", $"{theirs}self_attn.", options.Decoder.MixerOf(layer).Options);
            names.Same($"{ours}attention.sinks", $"{theirs}self_attn.sinks");
            AddExperts(names, $"{ours}feed_forward.", $"{theirs}mlp.", isInBlocks);
        }

        return names;
    }

    private static void AddExperts(TensorNames names, string ours, string theirs, Func<string, bool> isInBlocks)
    {
        const string Both = "gate_up_proj", Down = "down_proj";
        foreach (var end in new[] { "weight", "bias" }) names.Same($"{ours}router.gate.{end}", $"{theirs}router.{end}");
        var (mine, stack) = ($"{ours}experts.", $"{theirs}experts.");
        foreach (var (map, first) in new[] { ("gate_proj", 0), ("up_proj", 1) })
        {
            names.Add(isInBlocks(stack + Both)
                ? new EveryRowLayout(mine + map, stack + Both + Blocks, first, step: 2)
                : new TurnedGroupsLayout(mine + map, stack + Both, first, step: 2));
            names.Add(new EveryRowLayout($"{mine}{map}_bias", $"{stack}{Both}_bias", first, step: 2));
        }

        if (isInBlocks(stack + Down)) names.Same(mine + Down, stack + Down + Blocks);
        else names.Add(new TurnedGroupsLayout(mine + Down, stack + Down));
        names.Same($"{mine}{Down}_bias", $"{stack}{Down}_bias");
    }
}
