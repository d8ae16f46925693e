using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>What <c>Op.Attention</c> does beyond <c>softmax(q kᵀ / √d) v</c>; the default does nothing more.</summary>
public readonly record struct AttentionSettings
{
    /// <summary>Factor of the products of queries and keys; 1/√width unless said.</summary>
    public float? Scale { get; init; }

    /// <summary>Where above 0, a score s becomes <c>cap · tanh(s / cap)</c> (Gemma 2,
    /// <see href="https://arxiv.org/abs/2408.00118"/>).</summary>
    public float SoftCap { get; init; }

    /// <summary>F32 [heads]: one more score in the softmax of each head, which takes probability and has no value. Has a
    /// gradient.</summary>
    public Tensor? Sinks { get; init; }

    /// <summary>What is added to the scores after scale and cap; nothing where null.</summary>
    public ScoreBias? Bias { get; init; }

    /// <summary>How many elements of a value count, the first ones; all where null. With the keys as values this is what MLA
    /// decodes from: values are part of what is cached as keys.</summary>
    public int? ValueWidth { get; init; }

    /// <summary>F32 [batch, heads, queries] to be filled with the entropy of each query's probabilities in nats; a measurement
    /// without gradient, 0 for a query that sees nothing.</summary>
    public Tensor? Entropy { get; init; }
}

public static partial class Op
{
    /// <summary>
    /// <c>y = softmax(scale · q kᵀ + bias, over the keys the mask allows) v</c>, head by head. Time grows with the number of
    /// 64 × 64 tiles the mask touches, memory with the length. A query that may see no key gets zeros. Where queries choose blocks
    /// of keys one by one (<see cref="BlockMask.Blocks"/>), those that chose the same block are put into tiles together.
    /// <para>Under <see cref="Precision.BF16"/> the factors of all products are rounded to BF16 on the levels avx512-bf16 and amx, except
    /// where so few queries look at the keys that reading those is what counts; softmax and sums are F32. Otherwise, and
    /// under <see cref="Precision.F16"/>, everything is F32.</para>
    /// <para>What is not finite in a query, and NaN or +∞ in one of its biases for a key that it sees, spoils its own result; what is not
    /// finite in a key spoils the results of the queries that see it; in a value also those of other queries in the tiles that are visited
    /// for them, since 0 times NaN is NaN.</para>
    /// </summary>
    /// <param name="queries">[batch, queries, heads, width].</param>
    /// <param name="keys">[batch, length, key heads, width]; a cache may be longer than the mask's keys, and of F16 or BF16 too. Heads
    /// is a multiple of key heads: consecutive query heads share one (grouped queries).</param>
    /// <param name="values">[batch, length, key heads, value width], as the keys.</param>
    /// <param name="mask">Who sees whom; its <see cref="BlockMask.Keys"/> are how many of the keys count.</param>
    /// <param name="settings">Scale, soft cap, sinks, bias, entropies.</param>
    /// <returns>[batch, queries, heads, value width].</returns>
    /// <exception cref="ShapeException">Shapes do not fit each other or the mask.</exception>
    public static Tensor Attention(Tensor queries, Tensor keys, Tensor values, BlockMask mask, in AttentionSettings settings = default)
    {
        RequireAttentionShapes(queries, keys, values, mask);
        RequireSettings(queries, mask, settings);
        if (settings.ValueWidth is { } width && (width < 1 || width > values.Shape.Width))
            throw new ShapeException(
                $"attention: value width is {width}, expected 1 to {values.Shape.Width}, the width of values {values}");
        var y = Tensor.Temporary(queries.Shape.WithWidth(settings.ValueWidth ?? values.Shape.Width));
        var logSum = Tensor.Temporary([queries.Shape[0], queries.Shape[2], queries.Shape[1]]);
        var precision = Autocast.Current;
        FlashAttention.Forward(new FlashAttentionProblem(queries, keys, values, y, logSum, mask, settings, precision));

        var (bias, secondBias) = settings.Bias?.Inputs ?? default;
        if (Tape.Write<AttentionEntry>(y, queries, keys, values, settings.Sinks, bias, secondBias) is { } entry)
        {
            (entry.Queries, entry.Keys, entry.Values, entry.LogSum) = (queries, keys, values, logSum);
            (entry.Mask, entry.Settings, entry.Precision) = (mask, settings, precision);
        }

        GC.KeepAlive(queries);
        GC.KeepAlive(keys);
        GC.KeepAlive(values);
        GC.KeepAlive(mask);
        GC.KeepAlive(settings.Sinks);
        GC.KeepAlive(settings.Bias);
        GC.KeepAlive(settings.Entropy);
        return y;
    }

    private static void RequireAttentionShapes(Tensor queries, Tensor keys, Tensor values, BlockMask mask)
    {
        var (q, k, v) = (queries.Shape, keys.Shape, values.Shape);
        ShapeException.Require(queries.Type == ElementType.F32, "attention", "queries", queries, "F32");
        ShapeException.Require(
            keys.Type is ElementType.F32 or ElementType.F16 or ElementType.BF16, "attention", "keys", keys, "F32, F16 or BF16");
        ShapeException.Require(
            values.Type is ElementType.F32 or ElementType.F16 or ElementType.BF16, "attention", "values", values, "F32, F16 or BF16");
        ShapeException.Require(q.Rank == 4 && q.Width > 0, "attention", "queries", queries, "[batch, queries, heads, width]");
        ShapeException.Require(
            k.Rank == 4 && k[0] == q[0] && k[3] == q[3] && k[2] > 0 && q[2] % k[2] == 0, "attention", "keys", keys, "queries", queries);
        ShapeException.Require(
            v.Rank == 4 && v[0] == k[0] && v[1] == k[1] && v[2] == k[2] && v[3] > 0, "attention", "values", values, "keys", keys);
        if (mask.Queries != q[1] || mask.Keys > k[1] || (mask.Batch != 0 && mask.Batch != q[0]) || (mask.Heads != 0 && mask.Heads != q[2]))
        {
            throw new ShapeException(
                $"attention: mask has {mask.Queries} queries, {mask.Keys} keys, {mask.Batch} batch rows and {mask.Heads} heads (0: any), " +
                $"which does not fit queries, {queries}, and keys, {keys}");
        }
    }

    private static void RequireSettings(Tensor queries, BlockMask mask, in AttentionSettings settings)
    {
        var (batch, heads) = (queries.Shape[0], queries.Shape[2]);
        if (settings.SoftCap is not (>= 0 and < float.PositiveInfinity))
            throw new ArgumentOutOfRangeException(nameof(settings), settings.SoftCap, "the soft cap must be 0 (none) or above");
        if (settings.Sinks is { } sinks) ShapeException.Require(sinks.Shape == [heads], "attention", "sinks", sinks, "queries", queries);
        if (settings.Entropy is { } entropy)
            ShapeException.Require(entropy.Shape == [batch, heads, mask.Queries], "attention", "entropy", entropy, "queries", queries);
        settings.Bias?.Require(queries, mask);
    }

    private sealed class AttentionEntry : TapeEntry
    {
        public Tensor Queries = null!, Keys = null!, Values = null!, LogSum = null!;
        public BlockMask Mask = null!;
        public AttentionSettings Settings;
        public Precision Precision;

        public override unsafe void Backward()
        {
            var flow = Tensor.Temporary(LogSum.Shape);
            var gradients = new FlashAttentionGradients(
                new AttentionRows(OutputGradient, Output.Shape), AttentionRows.Address(flow.Floats), AttentionRows.Gradient(Queries),
                AttentionRows.Gradient(Keys), AttentionRows.Gradient(Values), new FlashAttentionBiasGradients(Settings.Bias),
                Gradient(Settings.Sinks));
            FlashAttention.Backward(
                new FlashAttentionProblem(Queries, Keys, Values, Output, LogSum, Mask, Settings with { Entropy = null }, Precision),
                gradients);
        }

        private static unsafe float* Gradient(Tensor? tensor) => tensor?.Slot is { } slot ? AttentionRows.Address(slot.Add()) : null;
    }
}
