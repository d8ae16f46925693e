using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>
/// Qwen1.5-MoE and Qwen2-MoE: routed experts beside a wide shared one that counts by a gate of its own. Every
/// <c>decoder_sparse_step</c>-th layer has experts, but for those of <c>mlp_only_layers</c>. Unless
/// <c>layer_types</c> says which, windows are those of every other layer below <c>max_window_layers</c>.
/// <para>Yang et al. 2024, <see href="https://arxiv.org/abs/2407.10671"/>, section 2.2.2.</para>
/// </summary>
internal sealed class Qwen2MoeFamily : DecoderFamily
{
    private static readonly ExpertNames s_experts = new(Shared: "shared_expert");

    public override string Name => "Qwen2-MoE";

    public override IReadOnlyList<string> ModelTypes => ["qwen2_moe"];

    public override string Architecture => "Qwen2MoeForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options, s_experts);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var layers = config.Layers("num_hidden_layers", 24);
        var (step, dense) = (config.Whole("decoder_sparse_step", 1), config.Wholes("mlp_only_layers") ?? []);
        var stack = new TransformerOptions
        {
            Layers = layers,
            Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
            Attention = new MultiHeadOptions(config.Whole("num_attention_heads", 16))
            {
                KeyValueHeads = config.WholeOrNull("num_key_value_heads", 16),
                HeadWidth = config.WholeOrNull("head_dim"),
                Bias = config.Truth("qkv_bias", true),
                OutputBias = false,
                Position = RotaryConfig.Read(config, 32768),
            },
            FeedForward = Experts(config),
            Variants = LlamaConfig.Runs(layers, layer => dense.Contains(layer) || (layer + 1) % step != 0, new LayerVariant
            {
                FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 5632)),
            }),
        };
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 2048),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = QwenWindows.Read(config, stack, (layer, end) => layer % 2 == 0 && layer < end),
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var (first, hasExperts) = LlamaConfig.FeedForwards<ExpertsOptions>(options);
        var experts = Part<ExpertsOptions>(first ?? decoder.FeedForward, "feedForward");
        var window = LayerTypes.Write(decoder, config);
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["qkv_bias"] = attention.Bias;
        config["use_sliding_window"] = window is not null;
        config["sliding_window"] = window;
        config["intermediate_size"] = LlamaConfig.FeedForwards<DenseOptions>(options).First?.Hidden ?? experts.Expert.Hidden;
        config["num_experts"] = experts.Routed;
        config["num_experts_per_tok"] = experts.Active;
        config["moe_intermediate_size"] = experts.Expert.Hidden;
        config["shared_expert_intermediate_size"] = CanonicalOptions.SharedWidth(experts);
        config["norm_topk_prob"] = Part<SoftmaxRouterOptions>(experts.Router, "feedForward.router").Normalise;
        config["decoder_sparse_step"] = 1;
        config["mlp_only_layers"] = new JsonArray([
            .. Enumerable.Range(0, decoder.Layers).Where(layer => !hasExperts(layer)).Select(layer => JsonValue.Create(layer))]);
        ActivationConfig.Write(experts.Expert, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }

    private static ExpertsOptions Experts(HuggingFaceConfig config)
    {
        var expert = ActivationConfig.Gated(config, config.Whole("moe_intermediate_size", 1408));
        var shared = config.Whole("shared_expert_intermediate_size", 5632, min: 0);
        var routed = config.Whole(config.Names("num_experts") ? "num_experts" : "num_local_experts", 60);
        return new ExpertsOptions(routed, config.Whole("num_experts_per_tok", 4), expert, shared > 0 ? 1 : 0)
        {
            SharedHidden = shared > 0 ? shared : null,
            SharedGate = shared > 0,
            Router = new SoftmaxRouterOptions(config.Truth("norm_topk_prob", false)),
        };
    }
}
