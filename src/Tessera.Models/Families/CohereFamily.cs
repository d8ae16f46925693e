using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Mixers;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>
/// Command R: attention and feed-forward read the same hidden states through one layer norm without a bias; rotary positions turn
/// neighbours; embeddings are tied, logits scaled. Command R+ normalises queries and keys, each head with weights of its own.
/// <para>Cohere 2024, "Command R"; parallel layers: Chowdhery et al. 2022 (PaLM), <see href="https://arxiv.org/abs/2204.02311"/>.</para>
/// </summary>
internal sealed class CohereFamily : DecoderFamily
{
    public override string Name => "Cohere";

    public override IReadOnlyList<string> ModelTypes => ["cohere"];

    public override string Architecture => "CohereForCausalLM";

    internal override string? GgufArchitecture => "command-r";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config)
    {
        var attention = Attention(config) with { Position = Rotary(config, 500000) };
        if (config.Truth("use_qk_norm", false)) attention = attention with { QueryKeyNorm = Norm(config), PerHeadQueryKeyNorm = true };
        return Model(config, (attention, null));
    }

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var attention = Part<MultiHeadOptions>(options.Decoder.Attention, "attention");
        WriteModel(
            options, attention, Part<LayerNormOptions>(options.Decoder.Norm, "norm"),
            Part<DenseOptions>(options.Decoder.FeedForward, "feedForward"), config);
        config["use_qk_norm"] = attention.QueryKeyNorm is not null;
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }

    /// <summary>The norm of all places.</summary>
    internal static LayerNormOptions Norm(HuggingFaceConfig config) => new((float)config.Number("layer_norm_eps", 1e-5), Bias: false);

    /// <summary>Full attention without positions.</summary>
    internal static MultiHeadOptions Attention(HuggingFaceConfig config) => new(config.Whole("num_attention_heads", 64))
    {
        KeyValueHeads = config.WholeOrNull("num_key_value_heads"),
        HeadWidth = config.WholeOrNull("head_dim"),
        Bias = config.Truth("attention_bias", false),
    };

    /// <summary>Positions that turn neighbours.</summary>
    internal static RotaryOptions Rotary(HuggingFaceConfig config, double theta) =>
        RotaryConfig.Read(config, 8192, theta, RotaryLayout.Interleaved);

    /// <summary>The model around its attention.</summary>
    internal static DecoderOptions Model(
        HuggingFaceConfig config, (MixerOptions Attention, IReadOnlyList<LayerVariant>? Variants) attentions) => new()
    {
        Width = config.Whole("hidden_size", 8192),
        EmbeddingScale = 1,
        TieEmbeddings = config.Truth("tie_word_embeddings", true),
        LogitScale = (float)LlamaConfig.Factor(config, "logit_scale", 0.0625),
        Decoder = new TransformerOptions
        {
            Layers = config.Layers("num_hidden_layers", 40),
            Norm = Norm(config),
            NormPlacement = NormPlacement.ParallelOneNorm,
            Attention = attentions.Attention,
            Variants = attentions.Variants,
            FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 22528)),
        },
    };

    /// <summary>Writes all but positions, windows and norms of queries and keys.</summary>
    internal static void WriteModel(
        DecoderOptions options, MultiHeadOptions attention, NormOptions norm, DenseOptions feedForward, JsonObject config)
    {
        LlamaConfig.WriteSizes(options, attention, config);
        config["layer_norm_eps"] = norm.Epsilon;
        config["attention_bias"] = attention.Bias;
        config["logit_scale"] = options.LogitScale;
        config["intermediate_size"] = feedForward.Hidden;
        ActivationConfig.Write(feedForward, config);
    }
}
