namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of few rows with a transposed matrix, as when some tokens at a time go through a layer: rows of a and columns
/// of b are dense, so that each element of c is a dot product, and b is read once, where it lies.
/// </summary>
internal static unsafe class MatrixProductDots
{
    /// <summary>A piece of four columns of b stays in the first-level cache while rows of a go by.</summary>
    private const int LongestStep = 1024;

    /// <summary>With more rows and columns than this, packing pays. Measured on Emerald Rapids at k = 320 (24 rows gain 11 %, 32 lose 6 %)
    /// and 4,096 (32 gain 23 %, 48 nothing); adding up lanes costs the less, the longer the sums.</summary>
    private static int MaxSide(int k) => Simd.Level >= KernelLevel.Vector512 ? Math.Min(24 + (k / 128), 40) : 16;

    /// <summary>Whether the product is better done this way.</summary>
    public static bool Suits(in MatrixProductOperands product) =>
        product.Kind == MatrixProductKind.F32 && product.ColumnA == 1 && product.RowB == 1
        && Math.Min(product.M, product.N) <= MaxSide(product.K) && product.K >= Lanes512.Count;

    /// <summary>Computes rows <paramref name="top"/> to <paramref name="bottom"/> of columns <paramref name="left"/> to
    /// <paramref name="right"/> of c, on the calling thread.</summary>
    public static void Run<V>(in MatrixProductOperands product, int top, int bottom, int left, int right)
        where V : struct, ILanes<V>
    {
        if (product.HalfB == null) Run<V, SingleElements>(product, (byte*)product.B, top, bottom, left, right);
        else Run<V, BrainElements>(product, (byte*)product.HalfB, top, bottom, left, right);
    }

    private static void Run<V, E>(in MatrixProductOperands product, byte* b, int top, int bottom, int left, int right)
        where V : struct, ILanes<V>
        where E : struct, IElements
    {
        var pieces = (product.K + LongestStep - 1) / LongestStep;
        var steps = (((product.K + pieces - 1) / pieces) + Lanes512.Count - 1) / Lanes512.Count * Lanes512.Count;

        // The longer side goes by once, the shorter stays in the cache.
        if (bottom - top > right - left)
        {
            for (int row = top, rows; row < bottom; row += rows)
            {
                rows = Rows<V>(bottom - row);
                for (int step = 0, count; step < product.K; step += count)
                {
                    count = Steps(product.K - step, steps);
                    for (var column = left; column < right; column += Columns(right - column))
                        Tile<V, E>(product, b, row, rows, column, Columns(right - column), step, count);
                }
            }
        }
        else
        {
            for (int column = left, columns; column < right; column += columns)
            {
                columns = Columns(right - column);
                for (int step = 0, count; step < product.K; step += count)
                {
                    count = Steps(product.K - step, steps);
                    for (var row = top; row < bottom; row += Rows<V>(bottom - row))
                        Tile<V, E>(product, b, row, Rows<V>(bottom - row), column, columns, step, count);
                }
            }
        }
    }

    /// <summary>The next piece of k; no last one is shorter than a vector.</summary>
    private static int Steps(int left, int longest) => left < longest + Lanes512.Count ? left : longest;

    /// <summary>The height of the next tile: the last rows are shared between two.</summary>
    private static int Rows<V>(int left) where V : struct, ILanes<V>
    {
        var max = MatrixProductDotTile.Rows<V>();
        return left <= max ? left : left < 2 * max ? (left + 1) / 2 : max;
    }

    private static int Columns(int left) => left >= MatrixProductDotTile.Columns ? MatrixProductDotTile.Columns : 1;

    private static void Tile<V, E>(
        in MatrixProductOperands product, byte* b, int row, int rows, int column, int columns, int step, int steps)
        where V : struct, ILanes<V>
        where E : struct, IElements
    {
        var target = new DotTarget(
            (nint)(product.C + ((long)row * product.RowC) + column), product.RowC,
            product.Bias == null || step > 0 ? 0 : (nint)(product.Bias + column), step > 0 || product.Accumulate);
        MatrixProductDotTile.Run<V, E>(
            rows, columns, product.A + ((long)row * product.RowA) + step, product.RowA,
            b + ((((long)column * product.ColumnB) + step) * E.Bytes), (long)product.ColumnB * E.Bytes, steps, target);
    }
}
