using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Tiles of scores whose queries stand side by side have one distance along each diagonal: that of query q and key k of
/// <c>keys</c> is number <c>q + (keys − 1 − k)</c>, counted from the nearest query and the last key on.
/// </summary>
internal static unsafe class FlashAttentionDiagonals
{
    /// <summary>Adds a strip, one number a diagonal, to the scores [keys, lanes].</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Add<V>(float* strip, int keys, int lanes, float* scores) where V : struct, ILanes<V>
    {
        for (var from = strip + (keys - 1); from >= strip; from--, scores += lanes)
            for (var lane = 0; lane < lanes; lane += V.Count) (V.Load(scores + lane) + V.Load(from + lane)).Store(scores + lane);
    }

    /// <summary>The sum of each diagonal of [keys, lanes]. Rows that are as far apart as a vector is long share diagonals lane by
    /// lane, and are summed first.</summary>
    /// <param name="scores">[keys, lanes].</param>
    /// <param name="keys">1 to 64.</param>
    /// <param name="lanes">A multiple of the vector's.</param>
    /// <param name="strip">keys + lanes − 1 sums.</param>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Sum<V>(float* scores, int keys, int lanes, float* strip) where V : struct, ILanes<V>
    {
        new Span<float>(strip, keys + lanes - 1).Clear();
        nint columns = lanes / V.Count, step = V.Count * (lanes + 1);
        for (var first = 0; first < Math.Min(V.Count, keys); first++)
        {
            nint rows = (keys - 1 - first) / V.Count;
            for (var shift = -rows; shift < columns; shift++)
            {
                nint row = Math.Max(0, -shift), lastRow = Math.Min(rows, columns - 1 - shift);
                var from = scores + (first * lanes) + (V.Count * ((row * lanes) + row + shift));
                var sum = V.Zero;
                for (; row <= lastRow; row++, from += step) sum += V.Load(from);
                var to = strip + (keys - 1 - first) + (V.Count * shift);
                (V.Load(to) + sum).Store(to);
            }
        }
    }

    /// <summary>
    /// Adds <c>products[diagonal(q, k), q]</c> to the score of q and k. Within a vector of lanes the diagonal grows by one from lane
    /// to lane; the rows are moved up by 1, 2, 4 … in the lanes whose number has that bit, in place, until it stands in one row.
    /// </summary>
    /// <param name="products">[diagonals, lanes]; not what it was afterwards.</param>
    /// <param name="keys">Keys of the tile.</param>
    /// <param name="lanes">A multiple of the vector's.</param>
    /// <param name="scores">[keys, lanes].</param>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Gather<V>(float* products, int keys, int lanes, float* scores) where V : struct, ILanes<V>
    {
        for (var lane = 0; lane < lanes; lane += V.Count)
        {
            var rows = products + (lane * lanes) + lane;
            for (var shift = 1; shift < V.Count; shift *= 2)
            {
                var moved = Lanes(shift);
                for (var row = 0; row < keys + V.Count - (2 * shift); row++)
                {
                    var to = rows + (row * lanes);
                    V.Where(moved, V.Load(to + (shift * lanes)), V.Load(to)).Store(to);
                }
            }

            for (var key = 0; key < keys; key++)
            {
                var to = scores + (key * lanes) + lane;
                (V.Load(to) + V.Load(rows + ((keys - 1 - key) * lanes))).Store(to);
            }
        }
    }

    /// <summary>The other way: <c>products[diagonal(q, k), q]</c>, all 0 before, becomes the number of q and k.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void Scatter<V>(float* numbers, int keys, int lanes, float* products) where V : struct, ILanes<V>
    {
        for (var lane = 0; lane < lanes; lane += V.Count)
        {
            var rows = products + (lane * lanes) + lane;
            for (var key = 0; key < keys; key++) V.Load(numbers + (key * lanes) + lane).Store(rows + ((keys - 1 - key) * lanes));
            for (var shift = V.Count / 2; shift > 0; shift /= 2)
            {
                var moved = Lanes(shift);
                for (var row = keys + V.Count - 2; row >= 0; row--)
                {
                    var to = rows + (row * lanes);
                    V.Where(moved, row < shift ? V.Zero : V.Load(to - (shift * lanes)), V.Load(to)).Store(to);
                }
            }
        }
    }

    /// <summary>The lanes whose number has a bit: 1, 2, 4 or 8.</summary>
    private static uint Lanes(int bit) => bit switch { 1 => 0xAAAA, 2 => 0xCCCC, 4 => 0xF0F0, _ => 0xFF00 };
}
