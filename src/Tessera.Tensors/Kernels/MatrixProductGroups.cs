using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Many products in one call, for mixtures of experts: the rows of a matrix are sorted by group, and each group of rows
/// meets a matrix of its own. Pieces of all groups are shared among the threads, so that small groups keep all of them busy.
/// <para>Groups are told by <c>offsets</c>: group g has the rows from <c>offsets[g]</c> to <c>offsets[g + 1]</c>.</para>
/// </summary>
internal static unsafe class MatrixProductGroups
{
    /// <summary>More rows than this are several pieces; each packs its group's matrix again, at about 2 % of its time.</summary>
    private const int RowsOfPiece = 256;

    /// <summary>Requires offsets that start at 0, never fall and end at <paramref name="rows"/> at most.</summary>
    /// <exception cref="ShapeException">They do not.</exception>
    public static void Require(ReadOnlySpan<int> offsets, int rows)
    {
        for (var i = 0; i < offsets.Length; i++)
        {
            var min = i == 0 ? 0 : offsets[i - 1];
            var max = i == 0 ? 0 : rows;
            if (offsets[i] < min || offsets[i] > max)
                throw new ShapeException($"grouped linear: offset {i} is {offsets[i]}, expected {min} to {max}");
        }
    }

    /// <summary>Rows of c = rows of a × the group's matrix; rows that are in no group become 0 (or stay, when accumulating).</summary>
    /// <param name="a">rows × k.</param>
    /// <param name="matrices">k × n for each group, one after the other.</param>
    /// <param name="transposed">Whether each is stored as n × k.</param>
    /// <param name="offsets">One more than there are groups.</param>
    /// <param name="c">rows × n.</param>
    /// <param name="n">Columns of c.</param>
    /// <param name="accumulate">Whether to add to what c holds.</param>
    /// <param name="kind">What factors are rounded to.</param>
    /// <param name="packed">The matrices packed for this kind, or none.</param>
    public static void MultiplyRows(
        Matrix a, ReadOnlySpan<float> matrices, bool transposed, ReadOnlySpan<int> offsets, Span<float> c, int n, bool accumulate,
        MatrixProductKind kind = MatrixProductKind.F32, PackedMatrix packed = default)
    {
        Require(offsets, a.Rows);
        var k = a.Columns;
        _ = new Matrix(c, a.Rows, n);
        _ = new Matrix(matrices, offsets.Length - 1, k * n);
        if (!accumulate) c[(offsets[^1] * n)..(a.Rows * n)].Clear();
        if (n == 0) return;
        fixed (float* pa = a.Data, pb = matrices, pc = c)
        fixed (int* pOffsets = offsets)
        {
            var work = new RowsWork
            {
                Product = new MatrixProductOperands
                {
                    A = pa, B = pb, C = pc, N = n, K = k, RowA = a.RowStride, ColumnA = a.ColumnStride,
                    RowB = transposed ? 1 : n, ColumnB = transposed ? k : 1, RowC = n, Accumulate = accumulate,
                    Kind = kind, PackedB = packed.Address,
                },
                Offsets = pOffsets,
            };
            var pieces = 0;
            for (var group = 0; group < offsets.Length - 1; group++) pieces += Pieces(offsets[group + 1] - offsets[group]);
            if (pieces == 0) return;
            work.Split = Split(pieces, n);
            work.Pieces = pieces * work.Split;
            work.Parts = Parts(work.Pieces, (long)offsets[^1] * n * k);
            KernelProfile.Note(2.0 * offsets[^1] * n * k, 0);
            Simd.Run(ref work, work.Parts);
        }
    }

    /// <summary>Each group's c = (the group's rows of a)ᵀ × (the group's rows of b); 0 for a group without rows.</summary>
    /// <param name="a">rows × m.</param>
    /// <param name="b">rows × n.</param>
    /// <param name="offsets">One more than there are groups.</param>
    /// <param name="c">m × n for each group, one after the other.</param>
    /// <param name="accumulate">Whether to add to what c holds.</param>
    /// <param name="kind">What factors are rounded to.</param>
    public static void MultiplyEach(
        Matrix a, Matrix b, ReadOnlySpan<int> offsets, Span<float> c, bool accumulate, MatrixProductKind kind = MatrixProductKind.F32)
    {
        Require(offsets, Math.Min(a.Rows, b.Rows));
        var (groups, m, n) = (offsets.Length - 1, a.Columns, b.Columns);
        _ = new Matrix(c, groups, m * n);
        if (groups == 0 || m == 0 || n == 0) return;
        fixed (float* pa = a.Data, pb = b.Data, pc = c)
        fixed (int* pOffsets = offsets)
        {
            var work = new EachWork
            {
                Product = new MatrixProductOperands
                {
                    A = pa, B = pb, C = pc, M = m, N = n, RowA = a.ColumnStride, ColumnA = a.RowStride,
                    RowB = b.RowStride, ColumnB = b.ColumnStride, RowC = n, Accumulate = accumulate, Kind = kind,
                },
                Offsets = pOffsets,
                Split = Split(groups, m),
            };
            work.Pieces = groups * work.Split;
            work.Parts = Parts(work.Pieces, (long)offsets[^1] * m * n);
            KernelProfile.Note(2.0 * offsets[^1] * m * n, 0);
            Simd.Run(ref work, work.Parts);
        }
    }

    private static int Pieces(int rows) => (rows + RowsOfPiece - 1) / RowsOfPiece;

    /// <summary>Into how many each piece is cut so that there are enough for all threads, whatever the groups' sizes.</summary>
    private static int Split(int pieces, int size) =>
        Simd.Threads == 1 ? 1 : Math.Clamp(8 * Simd.Threads / pieces, 1, Math.Max(1, size / 64));

    private static int Parts(int pieces, long multiplications) =>
        Simd.Threads == 1 || multiplications < 2 * MatrixProductCut.SmallestPart ? 1 : pieces;

    private struct RowsWork : IVectorWork, IMatrixProductWork
    {
        public MatrixProductOperands Product;
        public int* Offsets;
        public int Split, Pieces, Parts;

        public void Run<V>(int part) where V : struct, ILanes<V> => Product.Kind.Run<V, RowsWork>(ref this, part);

        public readonly void Run<V, TTile>(int part) where V : struct, ILanes<V> where TTile : struct, IMatrixProductTile
        {
            var (start, end) = Simd.Share(Pieces, Parts, part);
            for (var piece = start; piece < end; piece++) Compute<V, TTile>(piece / Split, piece % Split);
        }

        private readonly void Compute<V, TTile>(int piece, int split) where V : struct, ILanes<V> where TTile : struct, IMatrixProductTile
        {
            var group = 0;
            for (; piece >= MatrixProductGroups.Pieces(Offsets[group + 1] - Offsets[group]); group++)
                piece -= MatrixProductGroups.Pieces(Offsets[group + 1] - Offsets[group]);

            var rows = Offsets[group + 1] - Offsets[group];
            var cut = new MatrixProductCut(MatrixProductGroups.Pieces(rows), Split);
            var (top, bottom) = cut.RowsOf(piece * Split, rows, TTile.Rows);
            var (left, right) = cut.ColumnsOf(split, Product.N, TTile.Columns);
            var product = Product;
            product.M = rows;
            product.A += (long)Offsets[group] * product.RowA;
            product.B += (long)group * product.K * product.N;
            if (product.PackedB != null) product.PackedB += group * PackedMatrix.Bytes(product.Kind, product.K, product.N);
            product.C += (long)Offsets[group] * product.RowC;
            MatrixProduct.Compute<V, TTile>(product, top, bottom, left, right);
        }
    }

    private struct EachWork : IVectorWork, IMatrixProductWork
    {
        public MatrixProductOperands Product;
        public int* Offsets;
        public int Split, Pieces, Parts;

        public void Run<V>(int part) where V : struct, ILanes<V> => Product.Kind.Run<V, EachWork>(ref this, part);

        public readonly void Run<V, TTile>(int part) where V : struct, ILanes<V> where TTile : struct, IMatrixProductTile
        {
            var (start, end) = Simd.Share(Pieces, Parts, part);
            for (var piece = start; piece < end; piece++) Compute<V, TTile>(piece / Split, piece % Split);
        }

        private readonly void Compute<V, TTile>(int group, int split) where V : struct, ILanes<V> where TTile : struct, IMatrixProductTile
        {
            var (top, bottom) = new MatrixProductCut(Split, 1).RowsOf(split, Product.M, TTile.Rows);
            var product = Product;
            product.K = Offsets[group + 1] - Offsets[group];
            product.A += (long)Offsets[group] * product.ColumnA;
            product.B += (long)Offsets[group] * product.RowB;
            product.C += (long)group * product.M * product.N;
            MatrixProduct.Compute<V, TTile>(product, top, bottom, 0, product.N);
        }
    }
}
