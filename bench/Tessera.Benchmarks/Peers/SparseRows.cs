using System.Numerics.Tensors;
using Tessera.Tensors;
using Tensor = Tessera.Tensors.Tensor;

namespace Tessera.Benchmarks.Peers;

/// <summary>Attention that looks at a part of the keys, against Tessera's own dense causal attention of the same length.</summary>
internal static class SparseRows
{
    private const int Rounds = 2, Window = 256, BlockSize = 512, Top = 3;

    public static void Run(Report report, Precision precision)
    {
        Compare(
            report, $"window {Window} at 16384, {precision}", new AttentionRun(16384, precision),
            run => Dense(run).Within(Window), Targets.Window, precision);
        Compare(
            report, $"MoBA, blocks of {BlockSize}, top {Top}, at 32768, {precision}", new AttentionRun(32768, precision),
            run => Dense(run).Blocks(Choose(run), BlockSize), Targets.ChosenBlocks, precision);
    }

    private static void Compare(
        Report report, string work, AttentionRun run, Func<AttentionRun, BlockMask> narrow, Targets targets, Precision precision)
    {
        var (dense, sparse) = (AttentionTime.None, AttentionTime.None);
        var (all, some) = (Dense(run), narrow(run));
        AttentionRun.WarmUp(precision, Dense);
        AttentionRun.WarmUp(precision, narrow);
        for (var round = 0; round < Rounds; round++)
        {
            dense = dense.Best(run.Measure(all, runs: 1));
            sparse = sparse.Best(run.Measure(some, runs: 3));
        }

        report.CompareTimes($"{work}: forward, against own dense", sparse.Forward, dense.Forward, targets);
        report.CompareTimes($"{work}: backward, against own dense", sparse.Backward, dense.Backward, targets);
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
