using System.Numerics.Tensors;
using Tessera.Tensors;
using Tensor = Tessera.Tensors.Tensor;

namespace Tessera.Benchmarks.Peers;

/// <summary>Attention that looks at a part of the keys, against Tessera's own: in F32 dense attention, in BF16 the same in F32.</summary>
internal static class SparseRows
{
    private const int Rounds = 2, Window = 256, BlockSize = 512, Top = 3;

    private static readonly (string Work, int Length, Func<AttentionRun, BlockMask> Narrow, double Pairs, Targets Targets)[] s_kinds =
    [
        ($"window {Window} at 16384", 16384, run => Dense(run).Within(Window), 16384.0 * Window, Targets.Window),
        ($"MoBA, blocks of {BlockSize}, top {Top}, at 32768", 32768, run => Dense(run).Blocks(Choose(run), BlockSize),
            32768 * BlockSize * (Top - 0.5), Targets.ChosenBlocks),
    ];

    /// <summary>In F32, against own dense attention.</summary>
    public static void F32(Report report)
    {
        foreach (var (work, length, narrow, pairs, targets) in s_kinds)
        {
            var run = new AttentionRun(length, Precision.F32);
            Compare(report, $"{work}, F32", "dense", (run, narrow(run)), (run, Dense(run)), pairs, targets);
        }
    }

    /// <summary>In BF16, against the same in F32.</summary>
    public static void Bf16(Report report)
    {
        foreach (var (work, length, narrow, pairs, _) in s_kinds)
        {
            var (run, other) = (new AttentionRun(length, Precision.BF16), new AttentionRun(length, Precision.F32));
            var mask = narrow(run);
            Compare(report, $"{work}, BF16", "F32", (run, mask), (other, mask), pairs, Targets.SparseBf16);
        }
    }

    private static void Compare(
        Report report, string work, string peer, (AttentionRun Run, BlockMask Mask) ours, (AttentionRun Run, BlockMask Mask) theirs,
        double pairs, Targets targets)
    {
        var (best, other) = (AttentionTime.None, AttentionTime.None);
        AttentionRun.WarmUp(theirs.Run.Precision, Dense);
        AttentionRun.WarmUp(ours.Run.Precision, run => Dense(run).Within(Window));
        for (var round = 0; round < Rounds; round++)
        {
            other = other.Best(theirs.Run.Measure(theirs.Mask, runs: peer == "dense" ? 1 : 3));
            best = best.Best(ours.Run.Measure(ours.Mask, runs: 3));
        }

        var (forward, backward) = best.Shares(ours.Run.Precision, pairs);
        report.CompareTimes($"{work}: forward, against own {peer}", best.Forward, other.Forward, forward, targets);
        report.CompareTimes($"{work}: backward, against own {peer}", best.Backward, other.Backward, backward, targets);
    }

    private static BlockMask Dense(AttentionRun run) => BlockMask.Causal(run.Length, run.Length);

    /// <summary>
    /// The blocks that mixture of block attention chooses (Lu et al. 2025, <see href="https://arxiv.org/abs/2502.13189"/>,
    /// section 2.2): the query's own and, of those before it, the ones whose mean key has the greatest product with the query.
    /// Random keys make neighbours choose differently, which is the hardest case. Choosing is not timed.
    /// </summary>
    /// <returns>I32 [1, heads, length, top].</returns>
    private static Tensor Choose(AttentionRun run)
    {
        var chosen = Tensor.Allocate([1, AttentionRun.Heads, run.Length, Top], ElementType.I32);
        var sums = SumsOfKeys(run);
        var scores = new float[sums.Length / (AttentionRun.Heads * AttentionRun.Width)];
        for (var head = 0; head < AttentionRun.Heads; head++)
        {
            for (var place = 0; place < run.Length; place++)
            {
                var own = place / BlockSize;
                var query = Row(run.Queries.Floats, place, head);
                for (var block = 0; block < own; block++) scores[block] = TensorPrimitives.Dot(query, Row(sums, block, head));
                Take(scores.AsSpan(0, own), own, chosen.Ints.Slice(((head * run.Length) + place) * Top, Top));
            }
        }

        return chosen;
    }

    /// <summary>The block of its own, then those of the greatest scores, then none.</summary>
    private static void Take(Span<float> scores, int own, Span<int> list)
    {
        list.Fill(-1);
        list[0] = own;
        for (var place = 1; place < list.Length && place <= scores.Length; place++)
        {
            list[place] = TensorPrimitives.IndexOfMax<float>(scores);
            scores[list[place]] = float.NegativeInfinity;
        }
    }

    /// <summary>The sum of each block's keys, which ranks as the mean does: [blocks, heads, width].</summary>
    private static float[] SumsOfKeys(AttentionRun run)
    {
        const int Row = AttentionRun.Heads * AttentionRun.Width;
        var sums = new float[(run.Length + BlockSize - 1) / BlockSize * Row];
        for (var key = 0; key < run.Length; key++)
        {
            var sum = sums.AsSpan(key / BlockSize * Row, Row);
            TensorPrimitives.Add(sum, run.Keys.Floats.Slice(key * Row, Row), sum);
        }

        return sums;
    }

    private static ReadOnlySpan<float> Row(ReadOnlySpan<float> values, int place, int head) =>
        values.Slice(((place * AttentionRun.Heads) + head) * AttentionRun.Width, AttentionRun.Width);
}
