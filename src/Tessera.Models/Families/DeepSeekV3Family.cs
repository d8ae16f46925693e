using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>
/// DeepSeek-V3 and R1: as V2, with sigmoid gates, a bias that steers the choice of experts, and layers for multi-token prediction (MTP),
/// which a checkpoint keeps behind its last layer.
/// <para>DeepSeek-AI 2024, <see href="https://arxiv.org/abs/2412.19437"/>.</para>
/// </summary>
internal sealed class DeepSeekV3Family : DecoderFamily
{
    public override string Name => "DeepSeek-V3";

    public override IReadOnlyList<string> ModelTypes => ["deepseek_v3", "kimi_k2"];

    public override string Architecture => "DeepseekV3ForCausalLM";

    public override DecoderOptions Present(DecoderOptions options, TensorSource checkpoint) => MtpNames.Present(options, checkpoint);

    public override TensorNames Names(DecoderOptions options) => MtpNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var layout = config.Truth("rope_interleave", true) ? RotaryLayout.Interleaved : RotaryLayout.Halves;
        var attention = DeepSeekConfig.ReadAttention(config, DeepSeekSizes.V3, layout);
        var layers = config.Layers("num_hidden_layers", 61);
        var mtp = config.Whole(config.Names("num_mtp_layers") ? "num_mtp_layers" : "num_nextn_predict_layers", 1, min: 0, max: 16);
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 7168),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            MtpDepth = mtp,
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
                Attention = attention,
                FeedForward = DeepSeekConfig.ReadExperts(config, DeepSeekSizes.V3, ReadRouter(config)),
                Variants = DeepSeekConfig.ReadDense(
                    config, layers + mtp, 3, ActivationConfig.Gated(config, config.Whole("intermediate_size", 18432))),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var experts = DeepSeekConfig.Write(options, config, this);
        var router = Part<SigmoidRouterOptions>(experts.Router, "feedForward.router");
        config["rope_interleave"] = Part<LatentOptions>(options.Decoder.Attention, "attention").Position.Layout == RotaryLayout.Interleaved;
        config["num_nextn_predict_layers"] = options.MtpDepth;
        config["topk_method"] = "noaux_tc";
        config["n_group"] = router.Groups;
        config["topk_group"] = router.ActiveGroups;
        config["norm_topk_prob"] = router.Normalise;
        config["scoring_func"] = "sigmoid";
        config["routed_scaling_factor"] = router.Scale;
    }

    private static SigmoidRouterOptions ReadRouter(HuggingFaceConfig config)
    {
        var (method, scores) = (config.Text("topk_method", "noaux_tc"), config.Text("scoring_func", "sigmoid"));
        config.Require(method == "noaux_tc", "topk_method", method, "noaux_tc");
        config.Require(scores == "sigmoid", "scoring_func", scores, "sigmoid");
        return new SigmoidRouterOptions(config.Truth("norm_topk_prob", true))
        {
            Scale = (float)config.Number("routed_scaling_factor", 2.5),
            Groups = config.WholeOrNull("n_group", 8) ?? 1,
            ActiveGroups = config.WholeOrNull("topk_group", 4) ?? 1,
        };
    }
}
