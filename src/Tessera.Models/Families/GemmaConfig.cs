using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>What Gemma 2 and Gemma 3 have in common in their <c>config.json</c>.</summary>
internal static class GemmaConfig
{
    private const string QueryScalar = "query_pre_attn_scalar";

    /// <summary>The norm of all places: it multiplies by one more than its weights.</summary>
    public static RmsNormOptions Norm(HuggingFaceConfig config) => new((float)config.Number("rms_norm_eps", 1e-6), UnitOffset: true);

    /// <summary>Full attention without positions.</summary>
    public static MultiHeadOptions Attention(HuggingFaceConfig config) => new(config.Whole("num_attention_heads", 8))
    {
        KeyValueHeads = config.Whole("num_key_value_heads", 4),
        HeadWidth = config.Whole("head_dim", 256),
        Bias = config.Truth("attention_bias", false),
        ScoreScale = (float)(1 / Math.Sqrt(LlamaConfig.Factor(config, QueryScalar, 256))),
    };

    /// <summary>The model around its attention.</summary>
    /// <param name="config">The config.</param>
    /// <param name="attentions">The attention of most layers, and variants.</param>
    /// <param name="logitCap">The cap of logits where the config says none.</param>
    public static DecoderOptions Model(
        HuggingFaceConfig config, (MixerOptions Attention, IReadOnlyList<LayerVariant>? Variants) attentions, float logitCap)
    {
        const string Both = "use_bidirectional_attention";
        config.Require(!config.Truth(Both, false), Both, "true", "false: tokens see those before them");
        return new DecoderOptions
        {
            Width = config.Whole("hidden_size", 2304),
            EmbeddingScale = null, // √width
            TieEmbeddings = config.Truth("tie_word_embeddings", true),
            LogitSoftCap = Cap(config, "final_logit_softcapping", logitCap),
            Decoder = new TransformerOptions
            {
                Layers = config.Layers("num_hidden_layers", 26),
                Norm = Norm(config),
                NormPlacement = NormPlacement.Sandwich,
                Attention = attentions.Attention,
                Variants = attentions.Variants,
                FeedForward = ActivationConfig.Gated(
                    config, config.Whole("intermediate_size", 9216), key: "hidden_activation", otherwise: "gelu_pytorch_tanh"),
            },
        };
    }

    /// <summary>A soft cap; 0 where the config says that there is none.</summary>
    public static float Cap(HuggingFaceConfig config, string key, float otherwise) =>
        !config.Names(key) ? otherwise : config.Has(key) ? (float)LlamaConfig.Factor(config, key) : 0;

    /// <summary>Writes all but positions, windows and the cap of scores.</summary>
    public static void Write(
        DecoderOptions options, MultiHeadOptions attention, NormOptions norm, DenseOptions feedForward, JsonObject config)
    {
        LlamaConfig.WriteSizes(options, attention, config);
        config["rms_norm_eps"] = norm.Epsilon;
        config["attention_bias"] = attention.Bias;
        config["intermediate_size"] = feedForward.Hidden;
        config["final_logit_softcapping"] = options.LogitSoftCap == 0 ? null : options.LogitSoftCap;
        double scale = attention.ScoreScale ?? 1 / Math.Sqrt(attention.SizesIn(options.Width).HeadWidth);
        config[QueryScalar] = (int)Math.Clamp(Math.Round(1 / (scale * scale)), 1, int.MaxValue); // transformers takes whole ones
        ActivationConfig.Write(feedForward, config, "hidden_activation");
    }
}
