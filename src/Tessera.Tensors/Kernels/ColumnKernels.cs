namespace Tessera.Tensors.Kernels;

/// <summary>Copies a range of the columns of one matrix to columns of another.</summary>
internal static unsafe class ColumnKernels
{
    /// <summary><c>to[row, toFirst + i] = from[row / repeat, fromFirst + i]</c> for <paramref name="count"/> columns i, or added to what is
    /// there.</summary>
    public static void Spread(
        Matrix from, int fromFirst, Span<float> to, int toWidth, int toFirst, int count, int repeat,
        bool accumulate) => Run(from, fromFirst, to, toWidth, toFirst, count, repeat, collects: false, accumulate);

    /// <summary><c>to[row, toFirst + i] = Σ_j from[row · repeat + j, fromFirst + i]</c>, or added to what is there: the way back of
    /// <see cref="Spread"/>.</summary>
    public static void Collect(
        Matrix from, int fromFirst, Span<float> to, int toWidth, int toFirst, int count, int repeat,
        bool accumulate) => Run(from, fromFirst, to, toWidth, toFirst, count, repeat, collects: true, accumulate);

    private static void Run(
        Matrix from, int fromFirst, Span<float> to, int toWidth, int toFirst, int count, int repeat, bool collects, bool accumulate)
    {
        var rows = collects ? from.Rows / repeat : from.Rows * repeat;
        _ = new Matrix(to, rows, toWidth);
        if (rows == 0 || count == 0) return;
        fixed (float* source = from.Data, target = to)
        {
            var work = new Work
            {
                From = source + fromFirst, To = target + toFirst, FromWidth = from.Columns, ToWidth = toWidth, Rows = rows, Count = count,
                Repeat = repeat,
                Collects = collects,
                Accumulate = accumulate,
                Parts = Simd.Parts(rows, count * (collects ? repeat + 1L : 2)),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public float* From, To;
        public int FromWidth, ToWidth, Rows, Count, Repeat, Parts;
        public bool Collects, Accumulate;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++)
            {
                var to = To + ((long)row * ToWidth);
                var first = Collects ? (long)row * Repeat : row / Repeat;
                var last = Collects ? first + Repeat : first + 1;
                var adds = Accumulate;
                for (; first < last; first++, adds = true) Row<V>(From + (first * FromWidth), to, Count, adds);
            }
        }

        private static void Row<V>(float* from, float* to, int count, bool adds) where V : struct, ILanes<V>
        {
            var i = 0;
            if (adds)
            {
                for (; i + V.Count <= count; i += V.Count) (V.Load(to + i) + V.Load(from + i)).Store(to + i);
                for (; i < count; i++) to[i] += from[i];
            }
            else
            {
                for (; i + V.Count <= count; i += V.Count) V.Load(from + i).Store(to + i);
                for (; i < count; i++) to[i] = from[i];
            }
        }
    }
}
