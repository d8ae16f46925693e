using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels;

/// <summary>What attention is asked to do: sizes, strides, inputs, and how single scores are made.</summary>
internal unsafe struct FlashAttentionProblem
{
    /// <summary>log₂ e: scores are kept in units of ln 2, so that the softmax needs powers of two only.</summary>
    public const float Log2E = 1.44269504f;

    public int Batch, QueryCount, KeyCount, KeyCapacity, Heads, KeyHeads, Width, ValueWidth;

    /// <summary>Factor of the products of queries and keys, and the cap of the scores (0: none).</summary>
    public float Scale, SoftCap;

    /// <summary>Elements from one batch row's bias to the next; 0 where all have the same.</summary>
    public long BiasBatch;

    /// <summary>[batch, length, heads, width] each; <see cref="Output"/> as the queries but of the values' width.</summary>
    public float* Queries, Keys, Values, Output;

    /// <summary>[batch, heads, queries]: log₂ of the sum of the exponentials of each row's scores, 0 for a row without keys.</summary>
    public float* LogSum;

    /// <summary>[batch or none, heads, queries, keys], [heads], [batch, heads, queries]; null where not wanted.</summary>
    public float* Bias, Sinks, Entropy;

    public BlockMask Mask;

    /// <summary>Reads sizes and addresses off tensors whose shapes have been checked; they must stay alive meanwhile.</summary>
    public FlashAttentionProblem(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor logSum, BlockMask mask, in AttentionSettings settings)
    {
        (Batch, QueryCount, Heads, Width) = (queries.Shape[0], queries.Shape[1], queries.Shape[2], queries.Shape[3]);
        (KeyCount, KeyCapacity, KeyHeads, ValueWidth) = (mask.Keys, keys.Shape[1], keys.Shape[2], values.Shape[3]);
        (Scale, SoftCap, Mask) = (settings.Scale ?? 1 / MathF.Sqrt(Width), settings.SoftCap, mask);
        Queries = Address(queries.Floats);
        Keys = Address(keys.Floats);
        Values = Address(values.Floats);
        Output = Address(output.Floats);
        LogSum = Address(logSum.Floats);
        if (settings.Sinks is { } sinks) Sinks = Address(sinks.Floats);
        if (settings.Entropy is { } entropy) Entropy = Address(entropy.Floats);
        if (settings.Bias is not { } bias) return;
        Bias = Address(bias.Floats);
        BiasBatch = bias.Shape.Rank == 4 ? (long)Heads * QueryCount * KeyCount : 0;
    }

    /// <summary>Query heads that share a key head.</summary>
    public readonly int Group => Heads / KeyHeads;

    /// <summary>Elements between the same head of consecutive positions.</summary>
    public readonly nint QueryStride => (nint)Heads * Width;

    public readonly nint KeyStride => (nint)KeyHeads * Width;

    public readonly nint ValueStride => (nint)KeyHeads * ValueWidth;

    public readonly nint OutputStride => (nint)Heads * ValueWidth;

    public readonly nint QueryOffset(int batch, int head, int query) => ((((nint)batch * QueryCount) + query) * QueryStride) + ((nint)head * Width);

    public readonly nint OutputOffset(int batch, int head, int query) =>
        ((((nint)batch * QueryCount) + query) * OutputStride) + ((nint)head * ValueWidth);

    public readonly nint KeyOffset(int batch, int keyHead, int key) => ((((nint)batch * KeyCapacity) + key) * KeyStride) + ((nint)keyHead * Width);

    public readonly nint ValueOffset(int batch, int keyHead, int key) =>
        ((((nint)batch * KeyCapacity) + key) * ValueStride) + ((nint)keyHead * ValueWidth);

    public readonly nint RowOffset(int batch, int head, int query) => ((((nint)batch * Heads) + head) * QueryCount) + query;

    public readonly nint BiasOffset(int batch, int head, int query) => (nint)(batch * BiasBatch) + ((((nint)head * QueryCount) + query) * KeyCount);

    /// <summary>Where elements lie: native memory, which does not move.</summary>
    internal static float* Address(ReadOnlySpan<float> elements) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(elements));
}

/// <summary>Where attention's gradients come from and go to; null where one is not wanted. All are added to.</summary>
internal readonly unsafe struct FlashAttentionGradients
{
    /// <summary>The gradient of the output, as it is laid out.</summary>
    public readonly float* Output;

    /// <summary>[batch, heads, queries]: sum over the width of output times its gradient; filled in by the kernel.</summary>
    public readonly float* Flow;

    /// <summary>Laid out as queries, keys, values, bias and sinks are.</summary>
    public readonly float* Queries, Keys, Values, Bias, Sinks;

    public FlashAttentionGradients(
        ReadOnlySpan<float> output, Span<float> flow, GradientSlot? queries, GradientSlot? keys, GradientSlot? values, GradientSlot? bias, GradientSlot? sinks)
    {
        Output = FlashAttentionProblem.Address(output);
        Flow = FlashAttentionProblem.Address(flow);
        Queries = Address(queries);
        Keys = Address(keys);
        Values = Address(values);
        Bias = Address(bias);
        Sinks = Address(sinks);
    }

    private static float* Address(GradientSlot? slot) => slot is null ? null : FlashAttentionProblem.Address(slot.Add());
}
