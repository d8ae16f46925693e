namespace Tessera.Tensors.Kernels;

/// <summary>
/// A matrix b that was packed ahead of its products: pieces of k one after the other, each a row of strips, so that any
/// block of <see cref="MatrixProductBlocks"/> finds its strips side by side, however the product is cut. None where default.
/// </summary>
internal readonly unsafe struct PackedMatrix(byte* address)
{
    /// <summary>Sizes are rounded up to this, the most that any tile asks for.</summary>
    private const int Unit = 32;

    public byte* Address { get; } = address;

    /// <summary>The memory a packed k × n matrix needs, in bytes.</summary>
    public static long Bytes(MatrixProductKind kind, int k, int n) =>
        (((long)k + Unit - 1) / Unit * Unit)
        * (((long)n + Unit - 1) / Unit * Unit)
        * (kind == MatrixProductKind.F16 ? sizeof(float) : sizeof(ushort));

    /// <summary>Where the strip starts that holds column <paramref name="column"/> of the piece of k from
    /// <paramref name="step"/>, which is <paramref name="wholeSteps"/> long.</summary>
    public static long Offset<TTile>(int n, int step, int column, int wholeSteps) where TTile : struct, IMatrixProductTile =>
        (((long)step * MatrixProductBlocks.WholeColumns<TTile>(n)) + ((long)column * wholeSteps)) * TTile.ElementBytes;

    /// <summary>Packs matrices of one size that lie one after the other, with all threads.</summary>
    /// <param name="matrices">k × n each.</param>
    /// <param name="transposed">Whether each is stored as n × k.</param>
    /// <param name="kind">For which tile; not F32.</param>
    /// <param name="to"><see cref="Bytes"/> for each.</param>
    public static void Pack(ReadOnlySpan<float> matrices, int count, int k, int n, bool transposed, MatrixProductKind kind, byte* to)
    {
        if (matrices.Length != (long)count * k * n) throw new ArgumentException($"{matrices.Length} elements are not {count} x {k} x {n}");
        if (matrices.IsEmpty) return;
        fixed (float* from = matrices)
        {
            var work = new Work
            {
                Product = new MatrixProductOperands
                {
                    B = from, K = k, N = n, Kind = kind, RowB = transposed ? 1 : n, ColumnB = transposed ? k : 1,
                },
                To = to, Count = count, Parts = Simd.Parts((long)count * n, k),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork, IMatrixProductWork
    {
        public MatrixProductOperands Product;
        public byte* To;
        public int Count, Parts;

        public void Run<V>(int part) where V : struct, ILanes<V> => Product.Kind.Run<V, Work>(ref this, part);

        public readonly void Run<V, TTile>(int part) where V : struct, ILanes<V> where TTile : struct, IMatrixProductTile
        {
            var strips = (Product.N + TTile.Columns - 1) / TTile.Columns;
            var (start, end) = Simd.Share(checked(Count * strips), Parts, part);
            for (var strip = start; strip < end; strip++) Pack<TTile>(strip / strips, strip % strips * TTile.Columns);
        }

        /// <summary>One strip of one of the matrices, for all of k.</summary>
        private readonly void Pack<TTile>(int matrix, int column) where TTile : struct, IMatrixProductTile
        {
            var product = Product;
            product.B += (long)matrix * product.K * product.N;
            var to = To + (matrix * Bytes(product.Kind, product.K, product.N));
            var columns = Math.Min(TTile.Columns, product.N - column);
            var longest = MatrixProductBlocks.StepsAtOnce<TTile>(product.K);
            for (var step = 0; step < product.K; step += longest)
            {
                var steps = Math.Min(longest, product.K - step);
                var offset = Offset<TTile>(product.N, step, column, MatrixProductBlocks.WholeSteps<TTile>(steps));
                TTile.PackB(product, column, columns, MatrixProductBlocks.WholeColumns<TTile>(columns), step, steps, to + offset);
            }
        }
    }
}
