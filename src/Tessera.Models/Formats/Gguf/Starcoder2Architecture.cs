using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary><c>starcoder2</c>: layer norms, biases everywhere, GELU without a gate.</summary>
internal sealed class Starcoder2Architecture() : RotaryArchitecture("starcoder2")
{
    public override bool IsNear(DecoderOptions options) => options.Decoder is
    {
        NormPlacement: NormPlacement.PreNorm, Norm: LayerNormOptions, FeedForward: GeluTanhOptions,
        Attention: MultiHeadOptions { Position: RotaryOptions },
    };

    private protected override int? IgnoredWindow(DecoderOptions options) => LlamaConfig.WindowOf(options.Decoder.Attention);

    private protected override string? WhyNotStack(DecoderOptions options) =>
        WhyNotLayers(options) is { } problem ? problem
        : options.Decoder.Variants is { Count: > 0 } ? "its layers are not all alike"
        : options.Decoder.Norm is not LayerNormOptions { Bias: true } ? "its norms are not layer norms with biases"
        : !HasBias(options, true) ? "its attention has no biases"
        : options.Decoder.FeedForward is not GeluTanhOptions { Bias: true } ? "its feed-forward is not GELU in its tanh form with biases"
        : null;

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var attention = ReadAttention(keys, width, positions) with { Bias = true };
        return new TransformerOptions
        {
            Layers = layers, Norm = new LayerNormOptions(keys.Number(LayerEpsilon)),
            Attention = keys.CountOr(Window, 0) is > 0 and var window ? LlamaConfig.Windowed(attention, window) : attention,
            FeedForward = new GeluTanhOptions(keys.Count(Hidden)) { Bias = true },
        };
    }

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        WriteAttention(options, set);
        if (IgnoredWindow(options) is { } window) set(Window, GgufValue.Of((uint)window));
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        AddNorm(names, $"decoder.layers.{layer}.input_norm", $"blk.{layer}.attn_norm", options.Decoder.Norm);
        AddNorm(names, $"decoder.layers.{layer}.feed_forward_norm", $"blk.{layer}.ffn_norm", options.Decoder.Norm);
        AddMaps(names, options, layer);
        AddPlainFeedForward(names, options, layer);
    }
}
