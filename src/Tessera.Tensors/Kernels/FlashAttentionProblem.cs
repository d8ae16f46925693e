using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>What attention is asked to do: sizes, inputs, and how single scores are made.</summary>
internal unsafe struct FlashAttentionProblem
{
    /// <summary>log₂ e: scores are kept in units of ln 2, so that the softmax needs powers of two only.</summary>
    public const float Log2E = 1.44269504f;

    public int Batch, QueryCount, KeyCount, Heads, KeyHeads, Width, ValueWidth;

    /// <summary>The first key of a tile that any batch row keeps: a cache may have given back what lies before.</summary>
    public int FirstKey;

    /// <summary>Factor of the products of queries and keys, and the cap of the scores (0: none).</summary>
    public float Scale, SoftCap;

    public AttentionRows Queries, Keys, Values, Output;

    /// <summary>Keys and values as the kernels read them, in words of <see cref="IAttentionFactors{V}"/>: a row a key, for sums over the
    /// width…</summary>
    public AttentionRows KeyWords, ValueWords;

    /// <summary>…and for sums over the keys: in BF16 the keys of a tile are put into half as many rows, from row ⌊first key / 2⌋
    /// on, as <see cref="IAttentionFactors{V}.PackSums"/> does.</summary>
    public AttentionRows KeySums, ValueSums;

    /// <summary>What factors are. Where few queries go over a cache, reading it is what counts, and they stay F32; so they do where BF16
    /// dot products do no more than F32 multiplications (<see cref="Simd.Bf16DotsPay"/>).</summary>
    public AttentionFactors Factors;

    /// <summary>[batch, heads, queries]: log₂ of the sum of the exponentials of each row's scores, 0 for a row without keys.</summary>
    public float* LogSum;

    /// <summary>[heads], [batch, heads, queries]; null where not wanted.</summary>
    public float* Sinks, Entropy;

    public FlashAttentionBias Bias;

    /// <summary>[batch, heads, queries]: what is known of each row meanwhile; only where queries choose their keys.</summary>
    public RowState* States;

    public BlockMask Mask;

    /// <summary>Reads sizes and addresses off tensors whose shapes have been checked; they must stay alive meanwhile.</summary>
    public FlashAttentionProblem(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor logSum, BlockMask mask, in AttentionSettings settings,
        Precision precision)
        : this(
            queries, new AttentionRows(keys), new AttentionRows(values), keys.Shape[2], settings.ValueWidth ?? values.Shape[3],
            output, logSum, mask, settings, precision)
    {
    }

    /// <summary>As above, with keys and values that may lie in blocks.</summary>
    public FlashAttentionProblem(
        Tensor queries, AttentionRows keys, AttentionRows values, int keyHeads, int valueWidth,
        Tensor output, Tensor logSum, BlockMask mask, in AttentionSettings settings, Precision precision)
    {
        (Batch, QueryCount, Heads, Width) = (queries.Shape[0], queries.Shape[1], queries.Shape[2], queries.Shape[3]);
        (KeyCount, KeyHeads, ValueWidth) = (mask.Keys, keyHeads, valueWidth);
        (Scale, SoftCap, Mask) = (settings.Scale ?? 1 / MathF.Sqrt(Width), settings.SoftCap, mask);
        Queries = new AttentionRows(queries);
        (Keys, Values) = (keys, values);
        (KeyWords, ValueWords, KeySums, ValueSums) = (Keys, Values, Keys, Values);
        Output = new AttentionRows(output);
        LogSum = AttentionRows.Address(logSum.Floats);
        Factors = precision != Precision.BF16 || FlashAttention.IsDecode(this) ? AttentionFactors.F32
            : AmxTiles.Available ? (AttentionAmx.Pays(QueryCount, KeyCount) ? AttentionFactors.Bf16Tiles : AttentionFactors.F32)
            : Simd.Bf16DotsPay ? AttentionFactors.Bf16Dots
            : AttentionFactors.F32;
        if (settings.Sinks is { } sinks) Sinks = AttentionRows.Address(sinks.Floats);
        if (settings.Entropy is { } entropy) Entropy = AttentionRows.Address(entropy.Floats);
        Bias = new FlashAttentionBias(settings.Bias);
    }

    /// <summary>Query heads that share a key head.</summary>
    public readonly int Group => Heads / KeyHeads;

    public readonly nint RowOffset(int batch, int head, int query) => ((((nint)batch * Heads) + head) * QueryCount) + query;

    public readonly ref RowState State(int batch, int head, int query) => ref States[RowOffset(batch, head, query)];
}

/// <summary>Where attention's gradients come from and go to; null where one is not wanted. All are added to.</summary>
internal readonly unsafe struct FlashAttentionGradients(
    AttentionRows output, float* flow, AttentionRows queries, AttentionRows keys, AttentionRows values,
    FlashAttentionBiasGradients bias, float* sinks)
{
    /// <summary>The gradient of the output.</summary>
    public readonly AttentionRows Output = output;

    /// <summary>[batch, heads, queries]: sum over the width of output times its gradient; filled in by the kernel.</summary>
    public readonly float* Flow = flow;

    public readonly AttentionRows Queries = queries, Keys = keys, Values = values;

    public readonly FlashAttentionBiasGradients Bias = bias;

    /// <summary>Laid out as sinks are.</summary>
    public readonly float* Sinks = sinks;
}
