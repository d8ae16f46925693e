using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Products of few F32 rows with an F16 or BF16 weight, which is read once and widened in registers.</summary>
internal static unsafe class StoredProductWide
{
    /// <summary><c>y = x wᵀ + bias</c>; later, as a part of what is open (<see cref="JointWork"/>), where it
    /// <paramref name="joins"/>.</summary>
    public static void Multiply(Matrix x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias, bool joins)
    {
        fixed (byte* weights = w.Data)
        fixed (float* source = x.Data, target = y, added = bias)
        {
            var work = new Work
            {
                X = source, RowX = x.RowStride, Rows = x.Rows, Columns = x.Columns, Weights = weights, Y = target, Bias = added,
                Outputs = w.Rows, IsBrain = w.Type == ElementType.BF16, Parts = Simd.Parts(w.Rows, (long)x.Rows * x.Columns),
            };
            if (joins) JointWork.Add(ref work, work.Parts);
            else Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public float* X, Y, Bias;
        public byte* Weights;
        public int RowX, Rows, Columns, Outputs, Parts;
        public bool IsBrain;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Outputs, Parts, part);
            if (IsBrain) Run<V, BrainElements>(start, end);
            else Run<V, HalfElements>(start, end);
        }

        private readonly void Run<V, E>(int start, int end)
            where V : struct, ILanes<V>
            where E : struct, IElements
        {
            // With four outputs, as many sums as there are registers for.
            var max = V.Count == 16 ? 4 : 2;
            var rowW = (long)Columns * E.Bytes;
            var sums = stackalloc float[DotTile.Max * DotTile.Max * V.Count];
            for (int first = start, count; first < end; first += count)
            {
                // One row is done when memory is: it comes fastest in order.
                count = Rows > 1 && end - first >= DotTile.Max ? DotTile.Max : 1;
                for (int row = 0, rows; row < Rows; row += rows)
                {
                    rows = Rows - row >= max ? max : Rows - row >= 2 ? 2 : 1;
                    DotTile.Sum<V, E>(rows, count, X + ((long)row * RowX), RowX, Weights + (first * rowW), rowW, Columns / V.Count, sums);
                    for (var i = 0; i < rows; i++)
                        for (var j = 0; j < count; j++) Put<V, E>(row + i, first + j, V.Load(sums + (((i * DotTile.Max) + j) * V.Count)));
                }
            }
        }

        /// <summary>What is left after the whole vectors, and the element of y.</summary>
        private readonly void Put<V, E>(int row, int output, V sum)
            where V : struct, ILanes<V>
            where E : struct, IElements
        {
            var w = Weights + ((long)output * Columns * E.Bytes);
            var x = X + ((long)row * RowX);
            var y = sum.Sum();
            for (var k = Columns / V.Count * V.Count; k < Columns; k++) y += E.Load<Lanes1>(w + (k * E.Bytes)).Sum() * x[k];
            Y[((long)row * Outputs) + output] = y + (Bias == null ? 0 : Bias[output]);
        }
    }
}
