using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;

namespace Tessera.Models.Formats.Gguf;

/// <summary><c>smollm3</c>: a Llama whose every fourth layer has no positions.</summary>
internal sealed class SmolLm3Architecture() : RotaryArchitecture("smollm3")
{
    private const int Period = 4;

    public override bool IsNear(DecoderOptions options) =>
        options.Decoder is { NormPlacement: NormPlacement.PreNorm, Norm: RmsNormOptions, FeedForward: SwiGluOptions }
        && Rotating(options) is not null
        && Layers(options).Any(layer => AttentionOf(options, layer) is { Position: null });

    private static bool HasRotary(int layer) => (layer + 1) % Period != 0;

    private protected override string? WhyNotStack(DecoderOptions options) =>
        WhyNotLayers(options, nope: true, fullWidth: false) is { } problem ? problem
        : Layers(options).Any(layer => AttentionOf(options, layer)!.Position is not null != HasRotary(layer))
            ? $"not every {Period}th of its layers, and these alone, are without positions"
        : Layers(options).Select(layer => AttentionOf(options, layer)! with { Position = null }).Distinct().Count() > 1
            ? "its layers do not all have the same attention, but for positions"
        : LlamaConfig.WindowOf(options.Decoder.Attention) is not null ? "it has windows"
        : options.Decoder.Norm is not RmsNormOptions ? "its norms are not RMS norms"
        : options.Decoder.FeedForward is not SwiGluOptions ? "its feed-forward is not SwiGLU"
        : null;

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var (bias, outputBias) = (keys.HasTensor("blk.0.attn_q.bias"), keys.HasTensor("blk.0.attn_output.bias"));
        var rotary = ReadAttention(keys, width, positions) with { Bias = bias, OutputBias = outputBias == bias ? null : outputBias };
        var (attention, variants) = LlamaConfig.Attentions(layers, layer => HasRotary(layer) ? rotary : rotary with { Position = null });
        return new TransformerOptions
        {
            Layers = layers, Norm = ReadNorm(keys), Attention = attention, Variants = variants,
            FeedForward = new SwiGluOptions(keys.Count(Hidden)) { Bias = keys.HasTensor("blk.0.ffn_up.bias") },
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set) => WriteAttention(options, set);

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        AddNorm(names, $"{ours}.input_norm", $"{theirs}.attn_norm", options.Decoder.Norm);
        AddNorm(names, $"{ours}.feed_forward_norm", $"{theirs}.ffn_norm", options.Decoder.Norm);
        AddMaps(names, options, layer, paired: true); // of layers without positions too
        GgufFeedForward.Add(names, options.Decoder.FeedForwardOf(layer).Options, ours, theirs);
    }
}
