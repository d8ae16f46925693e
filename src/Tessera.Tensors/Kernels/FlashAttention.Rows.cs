namespace Tessera.Tensors.Kernels;

/// <summary>What is known of a row of scores after some of its keys.</summary>
/// <param name="Greatest">The largest score, or a reference somewhat below it.</param>
/// <param name="Sum">The sum of the powers of two of scores less that.</param>
/// <param name="Spread">The sum of those powers times the scores less that, for the entropy.</param>
internal readonly record struct RowState(float Greatest, float Sum, float Spread)
{
    /// <summary>Below every score, yet differences with it are finite.</summary>
    private const float BelowAllScores = -1e30f;

    /// <summary>A row before its first key. A sink is a key without a value, seen before all others.</summary>
    public static unsafe RowState Start(in FlashAttentionProblem problem, int head, bool sinks) =>
        sinks && problem.Sinks != null ? new(problem.Sinks[head] * FlashAttentionProblem.Log2E, 1, 0) : new(BelowAllScores, 0, 0);
}

internal static unsafe partial class FlashAttention
{
    /// <summary>Adds what a row has seen of other keys: its output is the sum of powers times values.</summary>
    private static void MergeRow<V>(ref RowState state, float* output, in RowState other, float* otherOutput, int width)
        where V : struct, ILanes<V>
    {
        var greatest = MathF.Max(state.Greatest, other.Greatest);
        float below = state.Greatest - greatest, otherBelow = other.Greatest - greatest;
        float decay = MathF.Pow(2, below), otherDecay = MathF.Pow(2, otherBelow);
        if (decay != 1) ScaleRow<V>(output, decay, width, output);
        AddRow<V>(otherOutput, otherDecay, output, width);
        state = new RowState(
            greatest,
            (decay * state.Sum) + (otherDecay * other.Sum),
            (decay * (state.Spread + (below * state.Sum))) + (otherDecay * (other.Spread + (otherBelow * other.Sum))));
    }

    /// <summary>Notes a row's log-sum and entropy; returns what its output is to be scaled by, 0 where no key was seen.</summary>
    private static float Normalize(in FlashAttentionProblem problem, nint row, RowState state)
    {
        var seen = state.Sum != 0;
        var logSum = seen ? MathF.Log2(state.Sum) : 0;
        problem.LogSum[row] = seen ? state.Greatest + logSum : 0;
        if (problem.Entropy != null) problem.Entropy[row] = seen ? (logSum - (state.Spread / state.Sum)) / FlashAttentionProblem.Log2E : 0;
        return seen ? 1 / state.Sum : 0;
    }

    /// <summary>Copies a row times a factor.</summary>
    public static void ScaleRow<V>(float* from, float factor, int width, float* to) where V : struct, ILanes<V>
    {
        var d = 0;
        for (; d + V.Count <= width; d += V.Count) (V.Load(from + d) * V.All(factor)).Store(to + d);
        for (; d < width; d++) to[d] = from[d] * factor;
    }

    /// <summary>Adds a row times a factor to another.</summary>
    public static void AddRow<V>(float* from, float factor, float* to, int width) where V : struct, ILanes<V>
    {
        var d = 0;
        for (; d + V.Count <= width; d += V.Count) V.MultiplyAdd(V.Load(from + d), V.All(factor), V.Load(to + d)).Store(to + d);
        for (; d < width; d++) to[d] += from[d] * factor;
    }

    /// <summary>The product of two rows.</summary>
    public static float Dot<V>(float* left, float* right, int count) where V : struct, ILanes<V>
    {
        var sum = V.Zero;
        var i = 0;
        for (; i + V.Count <= count; i += V.Count) sum = V.MultiplyAdd(V.Load(left + i), V.Load(right + i), sum);
        var total = sum.Sum();
        for (; i < count; i++) total += left[i] * right[i];
        return total;
    }
}
