using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Products of F32 matrices, whose elements are rounded to fewer bits on the way in where the kind says so.</summary>
internal static unsafe class MatrixProduct
{
    /// <summary><c>c = a b + bias</c>, or <c>c += a b + bias</c>; c has dense rows and shares no memory with the others.</summary>
    /// <param name="a">m × k.</param>
    /// <param name="b">k × n.</param>
    /// <param name="c">m × n, rows <paramref name="rowStride"/> elements apart.</param>
    /// <param name="accumulate">Whether to add to what c holds.</param>
    /// <param name="rowStride">n where 0.</param>
    /// <param name="bias">n elements added to every row, or none.</param>
    /// <param name="kind">What factors are rounded to.</param>
    /// <param name="packed">b packed for this kind, or none.</param>
    /// <param name="epilogue">Work on c that follows, or none.</param>
    /// <param name="joins">Whether a product of few rows may be done later, as a part of what is open (<see cref="JointWork"/>).</param>
    /// <exception cref="ArgumentException">The sizes do not fit.</exception>
    public static void Multiply(
        Matrix a, Matrix b, Span<float> c, bool accumulate, int rowStride = 0, ReadOnlySpan<float> bias = default,
        MatrixProductKind kind = MatrixProductKind.F32, PackedMatrix packed = default, MatrixProductEpilogue epilogue = default,
        bool joins = false)
    {
        var product = Shapes(a, b.Rows, b.Columns, c, accumulate, rowStride, bias, kind);
        (product.RowB, product.ColumnB) = (b.RowStride, b.ColumnStride);
        product.PackedB = packed.Address;
        product.Epilogue = epilogue;
        fixed (float* pb = b.Data)
        {
            product.B = pb;
            Run(product, a, c, bias, joins);
        }
    }

    /// <summary><c>c = a wᵀ + bias</c> of a weight that is stored in BF16, which is widened in registers or as it is packed.</summary>
    /// <param name="a">m × k.</param>
    /// <param name="weight">n × k numbers in BF16, rows dense.</param>
    /// <param name="n">Rows of w.</param>
    /// <param name="c">m × n.</param>
    /// <param name="bias">n elements added to every row, or none.</param>
    /// <param name="kind">What a is rounded to: BF16, which needs <see cref="MatrixProductKinds.HasBf16"/>, or F32.</param>
    /// <exception cref="ArgumentException">The sizes do not fit.</exception>
    public static void MultiplyBf16(
        Matrix a, ReadOnlySpan<ushort> weight, int n, Span<float> c, ReadOnlySpan<float> bias = default,
        MatrixProductKind kind = MatrixProductKind.Bf16)
    {
        if (weight.Length != (long)n * a.Columns)
            throw new ArgumentException($"{weight.Length} elements are not {n} x {a.Columns}", nameof(weight));
        var product = Shapes(a, a.Columns, n, c, accumulate: false, rowStride: 0, bias, kind);
        (product.RowB, product.ColumnB) = (1, a.Columns);
        fixed (ushort* pb = weight)
        {
            product.HalfB = pb;
            Run(product, a, c, bias);
        }
    }

    private static MatrixProductOperands Shapes(
        Matrix a, int k, int n, Span<float> c, bool accumulate, int rowStride, ReadOnlySpan<float> bias, MatrixProductKind kind)
    {
        if (a.Columns != k) throw new ArgumentException($"cannot multiply {a.Rows} x {a.Columns} by {k} x {n}");
        if (bias.Length != 0 && bias.Length != n)
            throw new ArgumentException($"a bias of {bias.Length} elements does not fit {n} columns", nameof(bias));
        return new MatrixProductOperands
        {
            M = a.Rows, N = n, K = k, Accumulate = accumulate, Kind = kind,
            RowA = a.RowStride, ColumnA = a.ColumnStride, RowC = new Matrix(c, a.Rows, n, rowStride).RowStride,
        };
    }

    private static void Run(MatrixProductOperands product, Matrix a, Span<float> c, ReadOnlySpan<float> bias, bool joins = false)
    {
        if (product.M == 0 || product.N == 0) return;
        fixed (float* pa = a.Data, pc = c, pBias = bias)
        {
            product.A = pa;
            product.C = pc;
            product.Bias = pBias;
            var work = new Work { Product = product, Cut = MatrixProductCut.Of(product) };
            KernelProfile.Note(
                2.0 * product.M * product.N * product.K, (product.HalfB != null ? 2.0 : 4.0) * product.N * product.K,
                new(product.M, product.N, product.K));
            if (joins && MatrixProductDots.Suits(product)) JointWork.Add(ref work, work.Cut.Parts);
            else Simd.Run(ref work, work.Cut.Parts);
        }
    }

    /// <summary>Computes rows <paramref name="top"/> to <paramref name="bottom"/> of columns <paramref name="left"/> to
    /// <paramref name="right"/> of c, on the calling thread.</summary>
    public static void Compute<V, TTile>(in MatrixProductOperands product, int top, int bottom, int left, int right)
        where V : struct, ILanes<V>
        where TTile : struct, IMatrixProductTile
    {
        if (!MatrixProductDots.Suits(product))
        {
            MatrixProductBlocks.Run<TTile>(product, top, bottom, left, right);
            return;
        }

        MatrixProductDots.Run<V>(product, top, bottom, left, right);
        product.Epilogue.Run(top, bottom, left, right);
    }

    private struct Work : IVectorWork, IMatrixProductWork
    {
        public MatrixProductOperands Product;
        public MatrixProductCut Cut;

        public void Run<V>(int part) where V : struct, ILanes<V> => Product.Kind.Run<V, Work>(ref this, part);

        public readonly void Run<V, TTile>(int part) where V : struct, ILanes<V> where TTile : struct, IMatrixProductTile
        {
            var (top, bottom) = Cut.RowsOf(part, Product.M, TTile.Rows);
            var (left, right) = Cut.ColumnsOf(part, Product.N, TTile.Columns);
            Compute<V, TTile>(Product, top, bottom, left, right);
        }
    }
}
