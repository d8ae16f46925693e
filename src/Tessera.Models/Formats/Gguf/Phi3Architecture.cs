using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// <c>phi3</c>: queries, keys and values in one matrix, gate and hidden layer in another. What LongRoPE divides frequencies by lies in two
/// tensors, for short and for long texts.
/// </summary>
internal sealed class Phi3Architecture() : RotaryArchitecture("phi3")
{
    private const string ShortFactors = "rope_factors_short.weight", LongFactors = "rope_factors_long.weight";
    private const string TrainedLength = "rope.scaling.original_context_length", AttentionFactor = "rope.scaling.attn_factor";

    public override bool IsNear(DecoderOptions options) => options.Decoder is
        {
            NormPlacement: NormPlacement.PreNorm, Norm: RmsNormOptions, FeedForward: SwiGluOptions,
        }
        && options.Decoder.Attention is MultiHeadOptions { Position: RotaryOptions { Width: { } width } } attention
        && width != attention.SizesIn(options.Width).HeadWidth;

    private protected override int? IgnoredWindow(DecoderOptions options) => LlamaConfig.WindowOf(options.Decoder.Attention);

    /// <inheritdoc/>
    public override IEnumerable<string> Notes(DecoderOptions options)
    {
        foreach (var note in base.Notes(options)) yield return note;
        if (options.Decoder.Attention is MultiHeadOptions { Position: RotaryOptions { Scaling: LongScaling scaling } })
        {
            yield return "llama.cpp chooses between short and long factors by the length of its context, not of the text: "
                + $"with one of more than {scaling.TrainedLength} tokens short texts give other results there";
        }
    }

    private protected override string? WhyNotStack(DecoderOptions options) =>
        WhyNotLayers(options) is { } problem ? problem
        : options.Decoder.Norm is not RmsNormOptions ? "its norms are not RMS norms"
        : options.Decoder.Variants is { Count: > 0 } ? "its layers are not all alike"
        : !HasBias(options, false) ? "its attention has biases"
        : options.Decoder.FeedForward is not SwiGluOptions { Bias: false } ? "its feed-forward is not SwiGLU without biases"
        : null;

    private protected override string? WhyNot(RotaryOptions rotary, int headWidth) =>
        rotary.Layout != Layout ? "its rotary positions pair neighbours"
        : rotary.Scaling is null or LongScaling ? null
        : "its positions are stretched otherwise than by LongRoPE";

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions)
    {
        var read = ReadAttention(keys, width, positions);
        var rotary = (RotaryOptions)read.Position!;
        var attention = read with
        {
            Position = rotary with { Scaling = ReadFactors(keys, (rotary.Width ?? read.SizesIn(width).HeadWidth) / 2, positions) },
        };
        return new TransformerOptions
        {
            Layers = layers, Norm = ReadNorm(keys), FeedForward = new SwiGluOptions(keys.Count(Hidden)),
            Attention = keys.CountOr(Window, 0) is > 0 and var window ? LlamaConfig.Windowed(attention, window) : attention,
        };
    }

    private static LongScaling? ReadFactors(GgufKeys keys, int pairs, int positions)
    {
        if (!keys.HasTensor(LongFactors) && !keys.HasTensor(ShortFactors)) return null;
        var trained = keys.Count(TrainedLength);
        var scaling = new LongScaling(trained, Read(ShortFactors), Read(LongFactors)) { Factor = (double)positions / trained };
        var derived = FactorOf(scaling);
        return keys.NumberOrNull(AttentionFactor) is not { } factor || Math.Abs(factor - derived) <= 1e-6 * derived
            ? scaling
            : scaling with { AttentionFactor = GgufKeys.Shortest(factor) };

        IReadOnlyList<double> Read(string name)
        {
            var entry = keys.File[name];
            if (entry.Count != pairs || entry.Element != ElementType.F32)
                throw new InvalidDataException(
                    $"{keys.File.Path}: tensor {entry} is to hold a divisor for each of the {pairs} pairs of a head, in F32");
            var factors = new float[pairs];
            keys.File.ReadBytes(name, System.Runtime.InteropServices.MemoryMarshal.AsBytes(factors.AsSpan()));
            return [.. factors.Select(GgufKeys.Shortest)];
        }
    }

    private static double FactorOf(LongScaling scaling) => scaling.AttentionFactor
        ?? (scaling.Factor <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(scaling.Factor) / Math.Log(scaling.TrainedLength))));

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        var rotary = (RotaryOptions)((MultiHeadOptions)options.Decoder.Attention).Position!;
        WriteAttention(options, set);
        set(Window, GgufValue.Of((uint)(IgnoredWindow(options) ?? 0)));
        set(TrainedLength, GgufValue.Of((uint)(rotary.Scaling is LongScaling { TrainedLength: var trained } ? trained : rotary.Positions)));
        if (rotary.Scaling is LongScaling scaling) set(AttentionFactor, GgufValue.Of((float)FactorOf(scaling)));
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, float[] Values)> Extras(DecoderOptions options) =>
        options.Decoder.Attention is MultiHeadOptions { Position: RotaryOptions { Scaling: LongScaling scaling } }
            ? [(LongFactors, Floats(scaling.LongFactors)), (ShortFactors, Floats(scaling.ShortFactors))]
            : [];

    private static float[] Floats(IReadOnlyList<double> numbers) => [.. numbers.Select(number => (float)number)];

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        var (ours, theirs) = ($"decoder.layers.{layer}", $"blk.{layer}");
        AddNorm(names, $"{ours}.input_norm", $"{theirs}.attn_norm", options.Decoder.Norm);
        AddNorm(names, $"{ours}.feed_forward_norm", $"{theirs}.ffn_norm", options.Decoder.Norm);
        AddFusedMaps(names, options, layer);
        var hidden = ((DenseOptions)options.Decoder.FeedForwardOf(layer).Options).HiddenAt(options.Width);
        foreach (var (map, first) in new[] { ("gate_proj", 0), ("up_proj", hidden) })
            names.Rows($"{ours}.feed_forward.{map}.weight", $"{theirs}.ffn_up.weight", first, 2 * hidden);
        names.Same($"{ours}.feed_forward.down_proj.weight", $"{theirs}.ffn_down.weight");
        names.Ignored(ShortFactors);
        names.Ignored(LongFactors);
    }
}
