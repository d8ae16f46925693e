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

    public static int RoundUp(int count, int multiple) => (count + multiple - 1) / multiple * multiple;

    /// <summary>How many words the numbers of a sum take.</summary>
    public static int Words(int numbers, int perWord) => RoundUp(numbers, perWord) / perWord;

    private static int Tiles(int length) => (length + FlashAttentionTile.Size - 1) / FlashAttentionTile.Size;

    /// <summary>How many parts to cut items into, when all of them together cost this many operations.</summary>
    private static int Parts(int items, double operations) => (int)Math.Clamp(operations / LeastWorkOfPart, 1, Math.Max(items, 1));

    /// <summary>Copies a row times a factor.</summary>
    public static void ScaleRow<V>(float* from, float factor, int width, float* to) where V : struct, ILanes<V>
    {
        var d = 0;
        for (; d + V.Count <= width; d += V.Count) (V.Load(from + d) * V.All(factor)).Store(to + d);
        for (; d < width; d++) to[d] = from[d] * factor;
    }

    /// <summary>Adds a row times a factor to another.</summary>
    private static void AddRow<V>(float* from, float factor, float* to, int width) where V : struct, ILanes<V>
    {
        var d = 0;
        for (; d + V.Count <= width; d += V.Count) V.MultiplyAdd(V.Load(from + d), V.All(factor), V.Load(to + d)).Store(to + d);
        for (; d < width; d++) to[d] += from[d] * factor;
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
