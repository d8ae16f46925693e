using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>
/// DeepSeek-V2: latent attention, shared experts beside routed ones, the first layers dense; experts are the likeliest of all, or of a few
/// groups, and count with their probability as it is.
/// <para>DeepSeek-AI 2024, <see href="https://arxiv.org/abs/2405.04434"/>.</para>
/// </summary>
internal sealed class DeepSeekV2Family : DecoderFamily
{
    public override string Name => "DeepSeek-V2";

    public override IReadOnlyList<string> ModelTypes => ["deepseek_v2"];

    public override string Architecture => "DeepseekV2ForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var attention = DeepSeekConfig.ReadAttention(config, DeepSeekSizes.V2, RotaryLayout.Interleaved);
        var (layers, bias) = (config.Layers("num_hidden_layers", 32), config.Truth("mlp_bias", false));
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 4096),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = layers,
                Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
                Attention = attention,
                FeedForward = DeepSeekConfig.ReadExperts(config, DeepSeekSizes.V2, ReadRouter(config)) with { SharedBias = bias },
                Variants = DeepSeekConfig.ReadDense(
                    config, layers, 0, ActivationConfig.Gated(config, config.Whole("intermediate_size", 11008), bias)),
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var experts = DeepSeekConfig.Write(options, config, this);
        var router = Part<SoftmaxRouterOptions>(experts.Router, "feedForward.router");
        config["mlp_bias"] = experts.SharedBias || LlamaConfig.FeedForwards<DenseOptions>(options).First?.Bias == true;
        config["topk_method"] = router.Groups == router.ActiveGroups ? "greedy" : "group_limited_greedy";
        config["n_group"] = router.Groups;
        config["topk_group"] = router.ActiveGroups;
        config["norm_topk_prob"] = false;
        config["scoring_func"] = "softmax";
        config["routed_scaling_factor"] = router.Scale;
    }

    private static SoftmaxRouterOptions ReadRouter(HuggingFaceConfig config)
    {
        var (method, scores) = (config.Text("topk_method", "greedy"), config.Text("scoring_func", "softmax"));
        config.Require(method is "greedy" or "group_limited_greedy", "topk_method", method, "greedy, group_limited_greedy");
        config.Require(scores == "softmax", "scoring_func", scores, "softmax");
        var hasGroups = method == "group_limited_greedy";
        // norm_topk_prob means nothing here: transformers carries it and leaves gates as they are.
        return new SoftmaxRouterOptions(Normalise: false)
        {
            Scale = (float)config.Number("routed_scaling_factor", 1),
            Groups = hasGroups ? config.Whole("n_group") : 1,
            ActiveGroups = hasGroups ? config.Whole("topk_group") : 1,
        };
    }
}
