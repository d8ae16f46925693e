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
/// DeepSeek-V3 and R1: as V2, with sigmoid gates, a bias that steers the choice of experts, and layers that predict tokens after the next
/// one, which a checkpoint keeps behind its last layer.
/// <para>DeepSeek-AI 2024, <see href="https://arxiv.org/abs/2412.19437"/>.</para>
/// </summary>
internal sealed class DeepSeekV3Family : DecoderFamily
{
    public override string Name => "DeepSeek-V3";

    public override IReadOnlyList<string> ModelTypes => ["deepseek_v3", "kimi_k2"];

    public override string Architecture => "DeepseekV3ForCausalLM";

    /// <summary>transformers writes 1 later token whatever the checkpoint has.</summary>
    public override DecoderOptions Present(DecoderOptions options, TensorSource checkpoint) => options with
    {
        MtpDepth = Enumerable.Range(0, options.MtpDepth).TakeWhile(depth =>
            checkpoint.Tensors.ContainsKey($"{LlamaNames.Prefix}layers.{options.Decoder.Layers + depth}.eh_proj.weight")).Count(),
    };

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var layout = config.Truth("rope_interleave", true) ? RotaryLayout.Interleaved : RotaryLayout.Halves;
        var attention = DeepSeekConfig.ReadAttention(config, DeepSeekSizes.V3, layout);
        var layers = config.Layers("num_hidden_layers", 61);
        var later = config.Whole(config.Names("num_mtp_layers") ? "num_mtp_layers" : "num_nextn_predict_layers", 1, min: 0, max: 16);
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 7168),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            MtpDepth = later,
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
                Attention = attention,
                FeedForward = DeepSeekConfig.ReadExperts(config, DeepSeekSizes.V3, ReadRouter(config)),
                Variants = DeepSeekConfig.ReadDense(
                    config, layers + later, 3, ActivationConfig.Gated(config, config.Whole("intermediate_size", 18432))),
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

    public override TensorNames Names(DecoderOptions options)
    {
        var names = LlamaNames.Of(options);
        for (var depth = 0; depth < options.MtpDepth; depth++)
        {
            var (layer, ours) = (options.Decoder.Layers + depth, $"mtp.{depth}.");
            var theirs = $"{LlamaNames.Prefix}layers.{layer}.";
            foreach (var part in new[] { "enorm", "hnorm", "eh_proj", "shared_head.norm" })
                names.Same($"{ours}{part}.weight", $"{theirs}{part}.weight");
            LlamaNames.Layer(names, $"{ours}layer.", theirs, options, layer);
            // Copies of the model's own.
            names.Ignored($"{theirs}embed_tokens.weight");
            names.Ignored($"{theirs}shared_head.head.weight");
        }

        return names;
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
