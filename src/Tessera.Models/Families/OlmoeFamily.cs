using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>
/// OLMoE: experts in every layer, whose gates stay probabilities, and norms of queries and keys over all heads together.
/// <para>Muennighoff et al. 2024, <see href="https://arxiv.org/abs/2409.02060"/>.</para>
/// </summary>
internal sealed class OlmoeFamily : DecoderFamily
{
    public override string Name => "OLMoE";

    public override IReadOnlyList<string> ModelTypes => ["olmoe"];

    public override string Architecture => "OlmoeForCausalLM";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var clip = config.NumberOrNull("clip_qkv");
        config.Require(clip is null, "clip_qkv", clip, "null: queries, keys and values are not clipped");
        var norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-5));
        var expert = ActivationConfig.Gated(config, config.Whole("intermediate_size", 2048));
        var experts = config.Whole(config.Names("num_experts") ? "num_experts" : "num_local_experts", 64);
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 2048),
            EmbeddingScale = 1,
            TieEmbeddings = config.Truth("tie_word_embeddings", false),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 16),
                Norm = norm,
                Attention = new MultiHeadOptions(config.Whole("num_attention_heads", 16))
                {
                    KeyValueHeads = config.WholeOrNull("num_key_value_heads"),
                    HeadWidth = config.WholeOrNull("head_dim"),
                    Bias = config.Truth("attention_bias", false),
                    QueryKeyNorm = norm,
                    WholeQueryKeyNorm = true,
                    Position = RotaryConfig.Read(config, 4096),
                },
                FeedForward = new ExpertsOptions(experts, config.Whole("num_experts_per_tok", 8), expert)
                {
                    Router = new SoftmaxRouterOptions(config.Truth("norm_topk_prob", false)),
                },
            },
        };
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var experts = Part<ExpertsOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["clip_qkv"] = null;
        config["intermediate_size"] = experts.Expert.Hidden;
        config["num_experts"] = experts.Routed;
        config["num_experts_per_tok"] = experts.Active;
        config["norm_topk_prob"] = Part<SoftmaxRouterOptions>(experts.Router, "feedForward.router").Normalise;
        ActivationConfig.Write(experts.Expert, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }
}
