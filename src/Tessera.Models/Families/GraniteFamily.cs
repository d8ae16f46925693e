using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models;

/// <summary>
/// Granite: a Llama with four factors, of embeddings, of scores, of what layers add to the hidden states, and (as a divisor) of logits.
/// <para>IBM Granite Team 2024, "Granite 3.0 language models"; the factors after Yang et al. 2022 (µP),
/// <see href="https://arxiv.org/abs/2203.03466"/>.</para>
/// </summary>
internal sealed class GraniteFamily : DecoderFamily
{
    public override string Name => "Granite";

    public override IReadOnlyList<string> ModelTypes => ["granite"];

    public override string Architecture => "GraniteForCausalLM";

    internal override string? GgufArchitecture => "granite";

    public override TensorNames Names(DecoderOptions options) => LlamaNames.Of(options);

    protected override DecoderOptions Read(HuggingFaceConfig config) => new()
    {
        Width = config.Whole("hidden_size", 4096),
        EmbeddingScale = (float)LlamaConfig.Factor(config, "embedding_multiplier", 1),
        TieEmbeddings = config.Truth("tie_word_embeddings", false),
        LogitScale = (float)(1 / LlamaConfig.Factor(config, "logits_scaling", 1)),
        Decoder = new TransformerOptions
        {
            Layers = config.Layers("num_hidden_layers", 32),
            Norm = new RmsNormOptions((float)config.Number("rms_norm_eps", 1e-6)),
            ResidualScale = (float)LlamaConfig.Factor(config, "residual_multiplier", 1),
            Attention = new MultiHeadOptions(config.Whole("num_attention_heads", 32))
            {
                KeyValueHeads = config.WholeOrNull("num_key_value_heads"),
                HeadWidth = config.WholeOrNull("head_dim"),
                Bias = config.Truth("attention_bias", false),
                ScoreScale = (float)LlamaConfig.Factor(config, "attention_multiplier", 1),
                Position = RotaryConfig.Read(config, 2048),
            },
            FeedForward = ActivationConfig.Gated(config, config.Whole("intermediate_size", 11008), config.Truth("mlp_bias", false)),
        },
    };

    protected override void Write(DecoderOptions options, JsonObject config)
    {
        var decoder = options.Decoder;
        var attention = Part<MultiHeadOptions>(decoder.Attention, "attention");
        var feedForward = Part<DenseOptions>(decoder.FeedForward, "feedForward");
        LlamaConfig.WriteSizes(options, attention, config);
        config["embedding_multiplier"] = options.EmbeddingScale ?? MathF.Sqrt(options.Width);
        config["attention_multiplier"] = attention.ScoreScale ?? 1 / MathF.Sqrt(attention.SizesIn(options.Width).HeadWidth);
        config["residual_multiplier"] = decoder.ResidualScale;
        config["logits_scaling"] = LogitDivisor(options.LogitScale);
        config["rms_norm_eps"] = Part<RmsNormOptions>(decoder.Norm, "norm").Epsilon;
        config["attention_bias"] = attention.Bias;
        config["intermediate_size"] = feedForward.Hidden;
        config["mlp_bias"] = feedForward.Bias;
        ActivationConfig.Write(feedForward, config);
        RotaryConfig.Write(Part<RotaryOptions>(attention.Position, "attention.position"), config);
    }

    /// <summary>The shortest number whose reciprocal is a scale.</summary>
    internal static JsonValue LogitDivisor(float scale)
    {
        var divisor = (float)(1.0 / scale);
        return (float)(1.0 / divisor) == scale ? JsonValue.Create(divisor) : JsonValue.Create(1.0 / scale);
    }
}
