using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary><c>granite</c>: a Llama with factors of embeddings, scores, what layers add, and, as a divisor, of logits.</summary>
internal sealed class GraniteArchitecture() : RotaryArchitecture("granite")
{
    private const string ScoreScale = "attention.scale", ResidualScale = "residual_scale", EmbeddingScale = "embedding_scale";

    public override bool IsNear(DecoderOptions options) =>
        options.Decoder is { NormPlacement: NormPlacement.PreNorm, Norm: RmsNormOptions, FeedForward: SwiGluOptions }
        && options.Decoder.Attention is MultiHeadOptions { QueryKeyNorm: null, Position: RotaryOptions } attention
        && (options.Decoder.ResidualScale != 1
            || (attention.ScoreScale is { } scale && scale != 1 / MathF.Sqrt(attention.SizesIn(options.Width).HeadWidth)));

    private protected override (float Embedding, float Logits) TableScales(DecoderOptions options) => (1, 1);

    private protected override string? WhyNotAround(DecoderOptions options) =>
        base.WhyNotAround(options with { Decoder = options.Decoder with { ResidualScale = 1 } });

    private protected override string? WhyNotStack(DecoderOptions options) =>
        WhyNotLayers(options, scale: true, fullWidth: false) is { } problem ? problem
        : options.Decoder.Variants is { Count: > 0 } || LlamaConfig.WindowOf(options.Decoder.Attention) is not null
            ? "its layers are not all alike, or have windows"
        : options.Decoder.Norm is not RmsNormOptions ? "its norms are not RMS norms"
        : options.Decoder.FeedForward is not SwiGluOptions ? "its feed-forward is not SwiGLU"
        : null;

    private protected override string? WhyNot(RotaryOptions rotary, int headWidth) => rotary.Scaling is Llama3Scaling
        ? base.WhyNot(rotary with { Scaling = null }, headWidth)
        : base.WhyNot(rotary, headWidth);

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var bias = keys.HasTensor("blk.0.attn_q.bias");
        var outputBias = keys.HasTensor("blk.0.attn_output.bias");
        return new TransformerOptions
        {
            Layers = layers, Norm = ReadNorm(keys), ResidualScale = keys.NumberOrNull(ResidualScale) ?? 1,
            Attention = ReadAttention(keys, width, positions) with
            {
                ScoreScale = keys.NumberOrNull(ScoreScale), Bias = bias, OutputBias = outputBias == bias ? null : outputBias,
            },
            FeedForward = new SwiGluOptions(keys.Count(Hidden)) { Bias = keys.HasTensor("blk.0.ffn_up.bias") },
        };
    }

    private protected override DecoderOptions Completed(DecoderOptions options, GgufKeys keys) => options with
    {
        EmbeddingScale = keys.NumberOrNull(EmbeddingScale) ?? 1, LogitScale = (float)(1.0 / (keys.NumberOrNull(LogitScaleKey) ?? 1)),
    };

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var attention = (MultiHeadOptions)options.Decoder.Attention;
        WriteAttention(options, set);
        set(ScoreScale, GgufValue.Of(attention.ScoreScale ?? 1 / MathF.Sqrt(attention.SizesIn(options.Width).HeadWidth)));
        set(ResidualScale, GgufValue.Of(options.Decoder.ResidualScale));
        set(EmbeddingScale, GgufValue.Of(options.EmbeddingScale ?? MathF.Sqrt(options.Width)));
        set(LogitScaleKey, GgufValue.Of((float)(1.0 / options.LogitScale)));
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        AddNorm(names, $"{ours}.input_norm", $"{theirs}.attn_norm", options.Decoder.Norm);
        AddNorm(names, $"{ours}.feed_forward_norm", $"{theirs}.ffn_norm", options.Decoder.Norm);
        AddMaps(names, options, layer, paired: true);
        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);
    }
}
