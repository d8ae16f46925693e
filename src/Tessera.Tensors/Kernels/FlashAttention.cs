namespace Tessera.Tensors.Kernels;

/// <summary>
/// Exact attention in tiles, with memory linear in the length: the scores of a tile live only while the tile is visited.
/// Dao, Fu, Ermon, Rudra, Ré 2022, <see href="https://arxiv.org/abs/2205.14135"/>; the softmax is Milakov and Gimelshein's
/// online one, <see href="https://arxiv.org/abs/1805.02867"/>.
/// </summary>
internal static unsafe partial class FlashAttention
{
    /// <summary>Floating-point operations below which a part is not worth handing to another thread.</summary>
    private const double LeastWorkOfPart = 200_000;

    /// <summary>The maximum of a row before its first key: below every score, yet differences with it are finite.</summary>
    private const float BelowAllScores = -1e30f;

    private static int RoundUp(int count, int multiple) => (count + multiple - 1) / multiple * multiple;

    private static int Tiles(int length) => (length + FlashAttentionTile.Size - 1) / FlashAttentionTile.Size;

    /// <summary>How many parts to cut items into, when all of them together cost this many operations.</summary>
    private static int Parts(int items, double operations) => (int)Math.Clamp(operations / LeastWorkOfPart, 1, Math.Max(items, 1));

    /// <summary>
    /// Where several tiles of queries go over the same keys, puts the keys and values of a head side by side first: spread over
    /// rows of all heads they would fall into a few sets of the caches only, and a page would hold one or two of them.
    /// </summary>
    /// <returns>The memory taken for it, for <see cref="GiveBack"/>; 0 where all stays as it is.</returns>
    private static nint Gather(ref FlashAttentionProblem problem)
    {
        if (problem.KeyHeads == 1 || problem.QueryCount <= 2 * FlashAttentionTile.Size) return 0;
        var address = Arena.Current.Take(GatheredBytes(problem));
        var keys = (float*)address;
        var values = keys + ((nint)problem.Batch * problem.KeyHeads * problem.KeyCount * problem.Width);
        var work = new GatherWork
        {
            Problem = problem,
            Keys = new AttentionRows(keys, problem.KeyHeads, problem.KeyCount, problem.Width),
            Values = new AttentionRows(values, problem.KeyHeads, problem.KeyCount, problem.ValueWidth),
        };
        Simd.Run(ref work, work.Parts = Simd.Parts((long)problem.Batch * problem.KeyCount, problem.KeyHeads * (problem.Width + problem.ValueWidth)));
        (problem.Keys, problem.Values) = (work.Keys, work.Values);
        return address;
    }

    private static void GiveBack(in FlashAttentionProblem problem, nint address)
    {
        if (address != 0) Arena.Current.Return(address, GatheredBytes(problem));
    }

    private static long GatheredBytes(in FlashAttentionProblem problem) =>
        (long)problem.Batch * problem.KeyHeads * problem.KeyCount * (problem.Width + problem.ValueWidth) * sizeof(float);

    private struct GatherWork : IVectorWork
    {
        public FlashAttentionProblem Problem;
        public AttentionRows Keys, Values;
        public int Parts;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Problem.Batch * Problem.KeyCount, Parts, part);
            for (var row = start; row < end; row++)
            {
                var (batch, key) = (row / Problem.KeyCount, row % Problem.KeyCount);
                for (var head = 0; head < Problem.KeyHeads; head++)
                {
                    CopyRow<V>(Problem.Keys.At(batch, head, key), 1, Problem.Width, Keys.At(batch, head, key), Problem.Width);
                    CopyRow<V>(Problem.Values.At(batch, head, key), 1, Problem.ValueWidth, Values.At(batch, head, key), Problem.ValueWidth);
                }
            }
        }
    }

    /// <summary>Copies a row times a factor and fills it up with zeros.</summary>
    private static void CopyRow<V>(float* from, float factor, int width, float* to, int paddedWidth) where V : struct, ILanes<V>
    {
        var d = 0;
        for (; d + V.Count <= width; d += V.Count) (V.Load(from + d) * V.All(factor)).Store(to + d);
        for (; d < width; d++) to[d] = from[d] * factor;
        for (; d < paddedWidth; d++) to[d] = 0;
    }

    private static float Dot<V>(float* left, float* right, int count) where V : struct, ILanes<V>
    {
        var sum = V.Zero;
        var i = 0;
        for (; i + V.Count <= count; i += V.Count) sum = V.MultiplyAdd(V.Load(left + i), V.Load(right + i), sum);
        var total = sum.Sum();
        for (; i < count; i++) total += left[i] * right[i];
        return total;
    }
}
