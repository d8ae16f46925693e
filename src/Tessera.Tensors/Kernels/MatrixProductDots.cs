using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of few rows with a transposed matrix, as when one token at a time goes through a layer: rows of a and columns
/// of b are dense, so that each element of c is a dot product, and b is read once, where it lies.
/// </summary>
internal static unsafe class MatrixProductDots
{
    /// <summary>With more rows and columns than this, packing pays.</summary>
    private const int Few = 16;

    /// <summary>Whether the product is better done this way.</summary>
    public static bool Suits(in MatrixProductOperands product) =>
        product.Kind == MatrixProductKind.F32 && product.ColumnA == 1 && product.RowB == 1
        && Math.Min(product.M, product.N) <= Few && product.K >= Lanes512.Count;

    /// <summary>Computes rows <paramref name="top"/> to <paramref name="bottom"/> of columns <paramref name="left"/> to
    /// <paramref name="right"/> of c, on the calling thread.</summary>
    public static void Run<V>(in MatrixProductOperands product, int top, int bottom, int left, int right)
        where V : struct, ILanes<V>
    {
        // The longer side goes by once, the shorter stays in the cache.
        if (bottom - top > right - left)
        {
            for (int row = top, rows; row < bottom; row += rows)
            {
                rows = Rows<V>(bottom - row);
                for (var column = left; column < right; column += Columns(right - column))
                    Tile<V>(product, row, rows, column, Columns(right - column));
            }
        }
        else
        {
            for (int column = left, columns; column < right; column += columns)
            {
                columns = Columns(right - column);
                for (var row = top; row < bottom; row += Rows<V>(bottom - row))
                    Tile<V>(product, row, Rows<V>(bottom - row), column, columns);
            }
        }
    }

    /// <summary>The height of the next tile: with four columns, as many sums as there are registers for.</summary>
    private static int Rows<V>(int left) where V : struct, ILanes<V> => left >= 4 && V.Count == 16 ? 4 : left >= 2 ? 2 : 1;

    private static int Columns(int left) => left >= 4 ? 4 : 1;

    private static void Tile<V>(in MatrixProductOperands product, int row, int rows, int column, int columns)
        where V : struct, ILanes<V>
    {
        var sums = stackalloc float[4 * 4 * V.Count];
        switch (rows, columns)
        {
            case (4, 4): Sum<V, Four, Four>(product, row, column, sums); break;
            case (2, 4): Sum<V, Two, Four>(product, row, column, sums); break;
            case (1, 4): Sum<V, One, Four>(product, row, column, sums); break;
            case (4, 1): Sum<V, Four, One>(product, row, column, sums); break;
            case (2, 1): Sum<V, Two, One>(product, row, column, sums); break;
            default: Sum<V, One, One>(product, row, column, sums); break;
        }

        for (var i = 0; i < rows; i++)
            for (var j = 0; j < columns; j++) Put(product, row + i, column + j, V.Load(sums + (((i * 4) + j) * V.Count)));
    }

    /// <summary>Dot products of up to four rows with up to four columns, each sum in a register until all whole vectors
    /// are counted. Nothing is called from here: that would put the sums into memory at each step.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Sum<V, TRows, TColumns>(in MatrixProductOperands product, int row, int column, float* sums)
        where V : struct, ILanes<V>
        where TRows : struct, IKnown
        where TColumns : struct, IKnown
    {
        long rowA = product.RowA, columnB = product.ColumnB;
        var a = product.A + (row * rowA);
        var b = product.B + (column * columnB);
        V s00 = V.Zero, s01 = V.Zero, s02 = V.Zero, s03 = V.Zero;
        V s10 = V.Zero, s11 = V.Zero, s12 = V.Zero, s13 = V.Zero;
        V s20 = V.Zero, s21 = V.Zero, s22 = V.Zero, s23 = V.Zero;
        V s30 = V.Zero, s31 = V.Zero, s32 = V.Zero, s33 = V.Zero;
        for (var whole = product.K / V.Count; whole > 0; whole--)
        {
            V b0 = V.Load(b), b1 = V.Zero, b2 = V.Zero, b3 = V.Zero;
            if (TColumns.Count == 4) (b1, b2, b3) = (V.Load(b + columnB), V.Load(b + (2 * columnB)), V.Load(b + (3 * columnB)));
            Step<V, TColumns>(V.Load(a), b0, b1, b2, b3, ref s00, ref s01, ref s02, ref s03);
            if (TRows.Count > 1) Step<V, TColumns>(V.Load(a + rowA), b0, b1, b2, b3, ref s10, ref s11, ref s12, ref s13);
            if (TRows.Count > 2) Step<V, TColumns>(V.Load(a + (2 * rowA)), b0, b1, b2, b3, ref s20, ref s21, ref s22, ref s23);
            if (TRows.Count > 3) Step<V, TColumns>(V.Load(a + (3 * rowA)), b0, b1, b2, b3, ref s30, ref s31, ref s32, ref s33);
            a += V.Count;
            b += V.Count;
        }

        Store<V, TColumns>(s00, s01, s02, s03, sums);
        if (TRows.Count > 1) Store<V, TColumns>(s10, s11, s12, s13, sums + (4 * V.Count));
        if (TRows.Count > 2) Store<V, TColumns>(s20, s21, s22, s23, sums + (8 * V.Count));
        if (TRows.Count > 3) Store<V, TColumns>(s30, s31, s32, s33, sums + (12 * V.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<V, TColumns>(
        V a, V b0, V b1, V b2, V b3, ref V sum0, ref V sum1, ref V sum2, ref V sum3)
        where V : struct, ILanes<V>
        where TColumns : struct, IKnown
    {
        sum0 = V.MultiplyAdd(a, b0, sum0);
        if (TColumns.Count < 4) return;
        sum1 = V.MultiplyAdd(a, b1, sum1);
        sum2 = V.MultiplyAdd(a, b2, sum2);
        sum3 = V.MultiplyAdd(a, b3, sum3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<V, TColumns>(V sum0, V sum1, V sum2, V sum3, float* to)
        where V : struct, ILanes<V>
        where TColumns : struct, IKnown
    {
        sum0.Store(to);
        if (TColumns.Count < 4) return;
        sum1.Store(to + V.Count);
        sum2.Store(to + (2 * V.Count));
        sum3.Store(to + (3 * V.Count));
    }

    /// <summary>What is left after the whole vectors, and the element of c.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<V>(in MatrixProductOperands product, int row, int column, V sum) where V : struct, ILanes<V>
    {
        var rest = product.K % V.Count;
        if (rest > 0)
        {
            // The last vector of row and column overlaps the one before; what that has counted is left out.
            var last = product.K - V.Count;
            var bits = uint.MaxValue << (V.Count - rest);
            var a = V.Load(product.A + ((long)row * product.RowA) + last);
            var b = V.Load(product.B + ((long)column * product.ColumnB) + last);
            sum = V.MultiplyAdd(V.Where(bits, a, V.Zero), V.Where(bits, b, V.Zero), sum);
        }

        var c = product.C + ((long)row * product.RowC) + column;
        var bias = product.Bias == null ? 0 : product.Bias[column];
        *c = (product.Accumulate ? *c : 0) + bias + sum.Sum();
    }
}
