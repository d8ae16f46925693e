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
/// Qwen 3 with experts in every <c>decoder_sparse_step</c>-th layer but those of <c>mlp_only_layers</c>, which are dense. Where there is a
/// window, all layers have it.
/// <para>Yang et al. 2025, <see href="https://arxiv.org/abs/2505.09388"/>.</para>
/// </summary>
internal sealed class Qwen3MoeFamily : DecoderFamily
{
    public override string Name => "Qwen3-MoE";

    public override IReadOnlyList<string> ModelTypes => ["qwen3_moe"];

    public override string Architecture => "Qwen3MoeForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6));
        var attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
        {
            KeyValueHeads = config.WholeOrNull("num_key_value_heads", 4),
            HeadWidth = config.WholeOrNull("head_dim"),
            Bias = config.Truth("attention_bias", false),
            QueryKeyNorm = norm,
            Position = RotaryConfig.Read(config, 32768),
        };
        var window = config.Truth("use_sliding_window", false) ? config.WholeOrNull("sliding_window", 4096) : null;
        var layers = config.Layers("num_hidden_layers", 24);
        var (step, dense) = (config.Whole("decoder_sparse_step", 1), config.Wholes("mlp_only_layers") ?? []);
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 2048),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Norm = norm,
                Attention = LlamaConfig.Windowed(attention, window),
                FeedForward = Experts(config),
                Variants = LlamaConfig.Runs(layers, layer => dense.Contains(layer) || (layer + 1) % step != 0, new LayerVariant
                {
                    FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 6144)),
                }),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var (first, hasExperts) = LlamaConfig.FeedForwards<ExpertsOptions>(options);
        var experts = Part<ExpertsOptions>(first ?? decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["use_sliding_window"] = LlamaConfig.WindowOf(attention) is not null;
        config["sliding_window"] = LlamaConfig.WindowOf(attention);
        config["intermediate_size"] = LlamaConfig.FeedForwards<DenseOptions>(options).First?.Hidden ?? experts.Expert.Hidden;
        config["num_experts"] = experts.Routed;
        config["num_experts_per_tok"] = experts.Active;
        config["moe_intermediate_size"] = experts.Expert.Hidden;
        config["norm_topk_prob"] = Part<SoftmaxRouterOptions>(experts.Router, "feedForward.router").Normalise;
        config["decoder_sparse_step"] = 1;
        config["mlp_only_layers"] = new JsonArray([
            .. Enumerable.Range(0, decoder.Layers).Where(layer => !hasExperts(layer)).Select(layer => JsonValue.Create(layer))]);
        ActivationConfig.Write(experts.Expert, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }

    /// <summary>transformers 5 renamed the key.</summary>
    private static ExpertsOptions Experts(HuggingFaceConfig config)
    {
        var routed = config.Whole(config.Names("num_experts") ? "num_experts" : "num_local_experts", 128);
        var expert = ActivationConfig.Gated(config, config.Whole("moe_intermediate_size", 768));
        return new ExpertsOptions(routed, config.Whole("num_experts_per_tok", 8), expert)
        {
            Router = new SoftmaxRouterOptions(config.Truth("norm_topk_prob", false)),
        };
    }
}
