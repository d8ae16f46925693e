using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of few rows with a transposed matrix, as when one token at a time goes through a layer: rows of a and columns
/// of b are dense, so that each element of c is a dot product, and b is read once, where it lies.
/// </summary>
internal static unsafe class MatrixProductDots
{
    /// <summary>With more rows and columns than this, packing pays.</summary>
    private const int MaxSide = 16;

    /// <summary>Whether the product is better done this way.</summary>
    public static bool Suits(in MatrixProductOperands product) =>
        product.Kind == MatrixProductKind.F32 && product.ColumnA == 1 && product.RowB == 1
        && Math.Min(product.M, product.N) <= MaxSide && product.K >= Lanes512.Count;

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
        var sums = stackalloc float[DotTile.Max * DotTile.Max * V.Count];
        var a = product.A + ((long)row * product.RowA);
        var b = product.B + ((long)column * product.ColumnB);
        DotTile.Sum<V, SingleElements>(
            rows, columns, a, product.RowA, (byte*)b, (long)product.ColumnB * sizeof(float), product.K / V.Count, sums);
        for (var i = 0; i < rows; i++)
            for (var j = 0; j < columns; j++) Put(product, row + i, column + j, V.Load(sums + (((i * DotTile.Max) + j) * V.Count)));
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
