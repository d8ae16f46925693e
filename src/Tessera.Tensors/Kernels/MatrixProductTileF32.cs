using System.Numerics.Tensors;

namespace Tessera.Tensors.Kernels;

/// <summary>F32 factors: a strip holds, for each step of k, one element of every column; a panel does so for rows or, where those of a are
/// dense, holds a copy of them.</summary>
internal readonly unsafe struct MatrixProductTileF32<V> : IMatrixProductTile where V : struct, ILanes<V>
{
    public static int Rows => MatrixProductTile.Rows<V>();

    public static int Columns => MatrixProductTile.Columns<V>();

    public static int ElementBytes => sizeof(float);

    public static int StepUnit => 1;

    public static int LongestStep => MatrixProductTile.LongestStep;

    public static int BlockBytes => MatrixProductPacking.BlockBytes;

    public static bool ReadsUnpacked => true;

    public static int NextRows(int left) => MatrixProductTile.NextRows<V>(left);

    public static void PackA(in MatrixProductOperands product, int row, int rows, int step, int steps, byte* to)
    {
        var a = product.A + ((long)row * product.RowA) + ((long)step * product.ColumnA);
        if (product.ColumnA == 1)
        {
            for (var i = 0; i < rows; i++)
            {
                var copy = new Span<float>((float*)to + (i * RowsTogether.Row), steps);
                new ReadOnlySpan<float>(a + ((long)i * product.RowA), steps).CopyTo(copy);
            }
        }
        else
        {
            MatrixProductPacking.Pack<V, SingleElements>((byte*)a, product.RowA, product.ColumnA, rows, rows, steps, (float*)to);
        }
    }

    public static void PackB(in MatrixProductOperands product, int column, int columns, int width, int step, int steps, byte* to)
    {
        var first = ((long)step * product.RowB) + ((long)column * product.ColumnB);
        if (product.HalfB == null)
            MatrixProductPacking.Pack<V, SingleElements>(
                (byte*)(product.B + first), product.ColumnB, product.RowB, columns, width, steps, (float*)to);
        else
            MatrixProductPacking.Pack<V, BrainElements>(
                (byte*)(product.HalfB + first), product.ColumnB, product.RowB, columns, width, steps, (float*)to);
    }

    public static void Run(
        in MatrixProductOperands product, int rows, int width, byte* a, byte* b, int rowB, int steps, float* c, int rowC, bool add)
    {
        if (product.ColumnA == 1)
            Run<RowsTogether>(rows, width, (float*)a, (float*)b, rowB, steps, c, rowC, add);
        else
            Run<StepsTogether>(rows, width, (float*)a, (float*)b, rowB, steps, c, rowC, add);
    }

    private static void Run<TPanel>(int rows, int width, float* a, float* b, int rowB, int steps, float* c, int rowC, bool add)
        where TPanel : struct, IPanelLayout
    {
        if (width == Columns) MatrixProductTile.Run<V, TPanel, Two>(rows, a, b, rowB, steps, c, rowC, add);
        else MatrixProductTile.Run<V, TPanel, One>(rows, a, b, rowB, steps, c, rowC, add);
    }
}

/// <summary>Factors rounded to F16 as they are packed, to nearest even, infinite where too large; the rest is F32.</summary>
internal readonly unsafe struct MatrixProductTileF16<V> : IMatrixProductTile where V : struct, ILanes<V>
{
    private const int AtOnce = 256;

    public static int Rows => MatrixProductTileF32<V>.Rows;

    public static int Columns => MatrixProductTileF32<V>.Columns;

    public static int ElementBytes => MatrixProductTileF32<V>.ElementBytes;

    public static int StepUnit => MatrixProductTileF32<V>.StepUnit;

    public static int LongestStep => MatrixProductTileF32<V>.LongestStep;

    public static int BlockBytes => MatrixProductTileF32<V>.BlockBytes;

    public static bool ReadsUnpacked => false;

    public static int NextRows(int left) => MatrixProductTileF32<V>.NextRows(left);

    public static void PackA(in MatrixProductOperands product, int row, int rows, int step, int steps, byte* to)
    {
        MatrixProductTileF32<V>.PackA(product, row, rows, step, steps, to);
        if (product.ColumnA != 1) Round(new Span<float>(to, rows * steps));
        else
            for (var i = 0; i < rows; i++) Round(new Span<float>((float*)to + (i * RowsTogether.Row), steps));
    }

    public static void PackB(in MatrixProductOperands product, int column, int columns, int width, int step, int steps, byte* to)
    {
        MatrixProductTileF32<V>.PackB(product, column, columns, width, step, steps, to);
        Round(new Span<float>(to, width * steps));
    }

    public static void Run(
        in MatrixProductOperands product, int rows, int width, byte* a, byte* b, int rowB, int steps, float* c, int rowC,
        bool add) => MatrixProductTileF32<V>.Run(product, rows, width, a, b, rowB, steps, c, rowC, add);

    private static void Round(Span<float> values)
    {
        Span<Half> halves = stackalloc Half[AtOnce];
        for (; values.Length > 0; values = values[Math.Min(AtOnce, values.Length)..])
        {
            var some = values[..Math.Min(AtOnce, values.Length)];
            TensorPrimitives.ConvertToHalf(some, halves);
            TensorPrimitives.ConvertToSingle(halves[..some.Length], some);
        }
    }
}
