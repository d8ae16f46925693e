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
/// GLM-4.5 and 4.6: grouped-query attention with partial rotary positions, dense layers first, then experts chosen as DeepSeek-V3
/// chooses them, beside shared ones. A checkpoint keeps its layer for multi-token prediction (MTP) behind the last one.
/// <para>GLM-4.5 Team 2025, <see href="https://arxiv.org/abs/2508.06471"/>.</para>
/// </summary>
internal sealed class Glm4MoeFamily : DecoderFamily
{
    private const double RotaryShare = 0.5;

    public override string Name => "GLM-4-MoE";

    public override IReadOnlyList<string> ModelTypes => ["glm4_moe"];

    public override string Architecture => "Glm4MoeForCausalLM";

    public override DecoderOptions Present(DecoderOptions options, TensorSource checkpoint) => MtpNames.Present(options, checkpoint);

    public override TensorNames Names(DecoderOptions options) => MtpNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-5));
        var (width, heads) = (config.Whole("hidden_size", 4096), config.Whole("num_attention_heads", 96));
        var (layers, mtp) = (config.Layers("num_hidden_layers", 46), config.Whole("num_nextn_predict_layers", 0, min: 0, max: 16));
        return new DecoderOptions
        {
            Width = width,
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            MtpDepth = mtp,
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Norm = norm,
                Attention = new MultiHeadOptions(heads)
                {
                    KeyValueHeads = config.WholeOrNull("num_key_value_heads", 8),
                    HeadWidth = config.WholeOrNull("head_dim", 128),
                    Bias = config.Truth("attention_bias", false),
                    OutputBias = false,
                    QueryKeyNorm = config.Truth("use_qk_norm", false) ? norm : null,
                    Position = RotaryConfig.Read(
                        config, 131072, part: (config.WholeOrNull("head_dim", 128) ?? width / heads, RotaryShare)),
                },
                FeedForward = Experts(config),
                Variants = DeepSeekConfig.ReadDense(
                    config, layers + mtp, 1, ActivationConfig.Gated(config, config.Whole("intermediate_size", 10944))),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var (first, hasExperts) = LlamaConfig.FeedForwards<ExpertsOptions>(options);
        var experts = Part<ExpertsOptions>(first ?? decoder.FeedForward, "feedForward");
        var router = Part<SigmoidRouterOptions>(experts.Router, "feedForward.router");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["use_qk_norm"] = attention.QueryKeyNorm is not null;
        config["num_nextn_predict_layers"] = options.MtpDepth;
        config["first_k_dense_replace"] = Enumerable.Range(0, decoder.Layers).TakeWhile(layer => !hasExperts(layer)).Count();
        config["intermediate_size"] = LlamaConfig.FeedForwards<DenseOptions>(options).First?.Hidden ?? experts.Expert.Hidden;
        config["moe_intermediate_size"] = experts.Expert.Hidden;
        config["n_routed_experts"] = experts.Routed;
        config["num_experts_per_tok"] = experts.Active;
        config["n_shared_experts"] = CanonicalOptions.SharedWidth(experts) / experts.Expert.Hidden;
        config["n_group"] = router.Groups;
        config["topk_group"] = router.ActiveGroups;
        config["norm_topk_prob"] = router.Normalise;
        config["routed_scaling_factor"] = router.Scale;
        ActivationConfig.Write(experts.Expert, config);
        RotaryConfig.Write(
            Part<RotaryOptions>(attention.Position, "attention.position"), config, attention.SizesIn(options.Width).HeadWidth);
    }

    private static ExpertsOptions Experts(HuggingFaceConfig config)
    {
        var expert = ActivationConfig.Gated(config, config.Whole("moe_intermediate_size", 1408));
        return new ExpertsOptions(
            config.Whole("n_routed_experts", 128), config.Whole("num_experts_per_tok", 8), expert,
            config.WholeOrNull("n_shared_experts", 1, min: 0) ?? 0)
        {
            Router = new SigmoidRouterOptions(config.Truth("norm_topk_prob", true))
            {
                Scale = (float)config.Number("routed_scaling_factor", 1),
                Groups = config.WholeOrNull("n_group", 1) ?? 1,
                ActiveGroups = config.WholeOrNull("topk_group", 1) ?? 1,
            },
        };
    }
}
