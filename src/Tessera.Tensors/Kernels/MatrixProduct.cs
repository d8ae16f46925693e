namespace Tessera.Tensors.Kernels;

/// <summary>Products of F32 matrices.</summary>
internal static unsafe class MatrixProduct
{
    /// <summary><c>c = a b</c>, or <c>c += a b</c>; c has dense rows.</summary>
    /// <param name="a">m × k.</param>
    /// <param name="b">k × n.</param>
    /// <param name="c">m × n, rows <paramref name="rowStride"/> elements apart.</param>
    /// <param name="accumulate">Whether to add to what c holds.</param>
    /// <param name="rowStride">n where 0.</param>
    /// <exception cref="ArgumentException">The sizes do not fit.</exception>
    public static void Multiply(Matrix a, Matrix b, Span<float> c, bool accumulate, int rowStride = 0)
    {
        if (a.Columns != b.Rows) throw new ArgumentException($"cannot multiply {a.Rows} x {a.Columns} by {b.Rows} x {b.Columns}");
        var target = new Matrix(c, a.Rows, b.Columns, rowStride);
        fixed (float* pa = a.Data, pb = b.Data, pc = c)
        {
            var work = new Work
            {
                A = pa, B = pb, C = pc, M = a.Rows, N = b.Columns, K = a.Columns, Accumulate = accumulate,
                RowA = a.RowStride, ColumnA = a.ColumnStride, RowB = b.RowStride, ColumnB = b.ColumnStride, RowC = target.RowStride,
                Parts = Simd.Parts(a.Rows, (long)a.Columns * b.Columns),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public float* A, B, C;
        public int M, N, K, RowA, ColumnA, RowB, ColumnB, RowC, Parts;
        public bool Accumulate;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(M, Parts, part);
            for (var i = start; i < end; i++)
            {
                for (var j = 0; j < N; j++)
                {
                    var sum = 0f;
                    for (var k = 0; k < K; k++)
                        sum += A[((long)i * RowA) + ((long)k * ColumnA)] * B[((long)k * RowB) + ((long)j * ColumnB)];
                    var c = C + ((long)i * RowC) + j;
                    *c = Accumulate ? *c + sum : sum;
                }
            }
        }
    }
}
