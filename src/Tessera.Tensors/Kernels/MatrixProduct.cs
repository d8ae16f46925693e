namespace Tessera.Tensors.Kernels;

/// <summary>Products of F32 matrices.</summary>
internal static unsafe class MatrixProduct
{
    /// <summary><c>c = a b + bias</c>, or <c>c += a b + bias</c>; c has dense rows and shares no memory with the others.</summary>
    /// <param name="a">m × k.</param>
    /// <param name="b">k × n.</param>
    /// <param name="c">m × n, rows <paramref name="rowStride"/> elements apart.</param>
    /// <param name="accumulate">Whether to add to what c holds.</param>
    /// <param name="rowStride">n where 0.</param>
    /// <param name="bias">n elements added to every row, or none.</param>
    /// <exception cref="ArgumentException">The sizes do not fit.</exception>
    public static void Multiply(
        Matrix a, Matrix b, Span<float> c, bool accumulate, int rowStride = 0, ReadOnlySpan<float> bias = default)
    {
        if (a.Columns != b.Rows) throw new ArgumentException($"cannot multiply {a.Rows} x {a.Columns} by {b.Rows} x {b.Columns}");
        if (bias.Length != 0 && bias.Length != b.Columns)
            throw new ArgumentException($"a bias of {bias.Length} elements does not fit {b.Columns} columns", nameof(bias));
        var target = new Matrix(c, a.Rows, b.Columns, rowStride);
        if (a.Rows == 0 || b.Columns == 0) return;
        fixed (float* pa = a.Data, pb = b.Data, pc = c, pBias = bias)
        {
            var product = new MatrixProductOperands
            {
                A = pa, B = pb, C = pc, Bias = pBias, M = a.Rows, N = b.Columns, K = a.Columns, Accumulate = accumulate,
                RowA = a.RowStride, ColumnA = a.ColumnStride, RowB = b.RowStride, ColumnB = b.ColumnStride, RowC = target.RowStride,
            };
            var work = new Work { Product = product, Cut = MatrixProductCut.Of(product) };
            Simd.Run(ref work, work.Cut.Parts);
        }
    }

    /// <summary>Computes rows <paramref name="top"/> to <paramref name="bottom"/> of columns <paramref name="left"/> to
    /// <paramref name="right"/> of c, on the calling thread.</summary>
    public static void Compute<V>(in MatrixProductOperands product, int top, int bottom, int left, int right)
        where V : struct, ILanes<V>
    {
        if (MatrixProductDots.Suits(product))
            MatrixProductDots.Run<V>(product, top, bottom, left, right);
        else
            MatrixProductBlocks.Run<V>(product, top, bottom, left, right);
    }

    private struct Work : IVectorWork
    {
        public MatrixProductOperands Product;
        public MatrixProductCut Cut;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (top, bottom) = Cut.RowsOf(part, Product.M, MatrixProductTile.Rows<V>());
            var (left, right) = Cut.ColumnsOf(part, Product.N, MatrixProductTile.Columns<V>());
            Compute<V>(Product, top, bottom, left, right);
        }
    }
}
