using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// <c>gptneox</c>: attention and feed-forward side by side or one after the other, layer norms, biases everywhere, queries, keys and values
/// in one matrix, positions of a part of each head.
/// </summary>
internal sealed class GptNeoXArchitecture() : RotaryArchitecture("gptneox")
{
    // llama.cpp does not look at the activation; it tells apart what its files leave open.
    private const string Parallel = "use_parallel_residual", ActivationKey = "hidden_activation", TanhForm = "gelu_pytorch_tanh";

    public override bool IsNear(DecoderOptions options) => options.Decoder is
    {
        NormPlacement: NormPlacement.Parallel or NormPlacement.PreNorm, Norm: LayerNormOptions,
        Attention: MultiHeadOptions { Position: RotaryOptions },
    };

    /// <inheritdoc/>
    public override IEnumerable<string> Notes(DecoderOptions options)
    {
        foreach (var note in base.Notes(options)) yield return note;
        if (options.Decoder.FeedForward is GeluOptions)
            yield return "llama.cpp's gptneox computes GELU in its tanh form: results differ a little there";
    }

    private protected override string? WhyNotAround(DecoderOptions options)
    {
        var stack = options.Decoder;
        return stack.NormPlacement == NormPlacement.Parallel
            ? base.WhyNotAround(options with { Decoder = stack with { NormPlacement = NormPlacement.PreNorm } })
            : base.WhyNotAround(options);
    }

    private protected override string? WhyNotStack(DecoderOptions options) =>
        WhyNotLayers(options) is { } problem ? problem
        : options.TieEmbeddings ? "its head is the table of embeddings"
        : options.Decoder.Variants is { Count: > 0 } || LlamaConfig.WindowOf(options.Decoder.Attention) is not null
            ? "its layers are not all alike, or have windows"
        : options.Decoder.Norm is not LayerNormOptions { Bias: true } ? "its norms are not layer norms with biases"
        : !HasBias(options, true) ? "its attention has no biases"
        : AttentionOf(options, 0)!.SizesIn(options.Width) is var sizes && sizes.KeyValueHeads != sizes.Heads
            ? "it has fewer heads of keys and values than of queries"
        : options.Decoder.FeedForward is not (GeluOptions { Bias: true } or GeluTanhOptions { Bias: true })
            ? "its feed-forward is not GELU with biases"
        : null;

    private protected override string? WhyNot(RotaryOptions rotary, int headWidth) => base.WhyNot(rotary with { Width = null }, headWidth);

    private protected override TransformerOptions ReadStack(GgufKeys keys, int layers, int width, int positions) => new()
    {
        Layers = layers, Norm = new LayerNormOptions(keys.Number(LayerEpsilon)),
        NormPlacement = keys.Truth(Parallel, true) ? NormPlacement.Parallel : NormPlacement.PreNorm,
        Attention = ReadAttention(keys, width, positions) with { Bias = true },
        FeedForward = keys.Text(ActivationKey) == TanhForm
            ? new GeluTanhOptions(keys.Count(Hidden)) { Bias = true }
            : new GeluOptions(keys.Count(Hidden)) { Bias = true },
    };

    private protected override void WriteStack(DecoderOptions options, Action<string, GgufValue> set)
    {
        WriteAttention(options, set);
        set(Parallel, GgufValue.Of(options.Decoder.NormPlacement == NormPlacement.Parallel));
        if (options.Decoder.FeedForward is GeluTanhOptions) set(ActivationKey, GgufValue.Of(TanhForm));
    }

    private protected override void AddLayer(TensorNames names, DecoderOptions options, int layer, Func<string, bool> has)
    {
        AddNorm(names, $"decoder.layers.{layer}.input_norm", $"blk.{layer}.attn_norm", options.Decoder.Norm);
        AddNorm(names, $"decoder.layers.{layer}.feed_forward_norm", $"blk.{layer}.ffn_norm", options.Decoder.Norm);
        AddFusedMaps(names, options, layer);
        AddPlainFeedForward(names, options, layer);
    }
}
