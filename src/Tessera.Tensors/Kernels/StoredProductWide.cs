using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>Products of few F32 rows with an F16 or BF16 weight, which is read once and widened in registers.</summary>
internal static unsafe class StoredProductWide
{
    /// <summary>Outputs that are computed together.</summary>
    private const int OutputsAtOnce = 4;

    /// <summary><c>y = x wᵀ + bias</c>.</summary>
    public static void Multiply(Matrix x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias)
    {
        fixed (byte* weights = w.Data)
        fixed (float* source = x.Data, target = y, added = bias)
        {
            var work = new Work
            {
                X = source, RowX = x.RowStride, Rows = x.Rows, Columns = x.Columns, Weights = (ushort*)weights, Y = target, Bias = added,
                Outputs = w.Rows, IsBrain = w.Type == ElementType.BF16, Parts = Simd.Parts(w.Rows, (long)x.Rows * x.Columns),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    private interface IWords
    {
        static abstract V Load<V>(ushort* from) where V : struct, ILanes<V>;
    }

    private readonly struct Brain : IWords
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load<V>(ushort* from) where V : struct, ILanes<V> => V.LoadBrain(from);
    }

    private readonly struct Halves : IWords
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load<V>(ushort* from) where V : struct, ILanes<V> => V.LoadHalf(from);
    }

    private struct Work : IVectorWork
    {
        public float* X, Y, Bias;
        public ushort* Weights;
        public int RowX, Rows, Columns, Outputs, Parts;
        public bool IsBrain;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Outputs, Parts, part);
            if (IsBrain) Run<V, Brain>(start, end);
            else Run<V, Halves>(start, end);
        }

        private readonly void Run<V, T>(int start, int end)
            where V : struct, ILanes<V>
            where T : struct, IWords
        {
            // With four outputs, as many sums as there are registers for.
            var most = V.Count == 16 ? 4 : 2;
            var sums = stackalloc float[4 * OutputsAtOnce * V.Count];
            for (int first = start, count; first < end; first += count)
            {
                count = Rows > 1 && end - first >= OutputsAtOnce ? OutputsAtOnce : 1; // one row is done when memory is: it comes fastest in order
                for (int row = 0, rows; row < Rows; row += rows)
                {
                    rows = Rows - row >= most ? most : Rows - row >= 2 ? 2 : 1;
                    switch (rows, count)
                    {
                        case (4, OutputsAtOnce): Sum<V, T, Four, Four>(row, first, sums); break;
                        case (2, OutputsAtOnce): Sum<V, T, Two, Four>(row, first, sums); break;
                        case (1, OutputsAtOnce): Sum<V, T, One, Four>(row, first, sums); break;
                        case (4, 1): Sum<V, T, Four, One>(row, first, sums); break;
                        case (2, 1): Sum<V, T, Two, One>(row, first, sums); break;
                        default: Sum<V, T, One, One>(row, first, sums); break;
                    }

                    for (var i = 0; i < rows; i++)
                        for (var j = 0; j < count; j++) Put<V, T>(row + i, first + j, V.Load(sums + (((i * OutputsAtOnce) + j) * V.Count)));
                }
            }
        }

        /// <summary>Up to four rows times four rows of the weight, the whole vectors of them; nothing is called from here, so
        /// that sums stay in registers.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private readonly void Sum<V, T, TRows, TOutputs>(int row, int output, float* sums)
            where V : struct, ILanes<V>
            where T : struct, IWords
            where TRows : struct, IKnown
            where TOutputs : struct, IKnown
        {
            long rowX = RowX, rowW = Columns;
            var w = Weights + (output * rowW);
            var x = X + (row * rowX);
            V s00 = V.Zero, s01 = V.Zero, s02 = V.Zero, s03 = V.Zero;
            V s10 = V.Zero, s11 = V.Zero, s12 = V.Zero, s13 = V.Zero;
            V s20 = V.Zero, s21 = V.Zero, s22 = V.Zero, s23 = V.Zero;
            V s30 = V.Zero, s31 = V.Zero, s32 = V.Zero, s33 = V.Zero;
            var whole = Columns / V.Count;
            for (; TRows.Count * TOutputs.Count == 1 && whole >= 4; whole -= 4, w += 4 * V.Count, x += 4 * V.Count)
            {
                // Four sums of one output, so that additions need not wait for each other.
                s00 = V.MultiplyAdd(T.Load<V>(w), V.Load(x), s00);
                s01 = V.MultiplyAdd(T.Load<V>(w + V.Count), V.Load(x + V.Count), s01);
                s02 = V.MultiplyAdd(T.Load<V>(w + (2 * V.Count)), V.Load(x + (2 * V.Count)), s02);
                s03 = V.MultiplyAdd(T.Load<V>(w + (3 * V.Count)), V.Load(x + (3 * V.Count)), s03);
            }

            if (TRows.Count * TOutputs.Count == 1) s00 = s00 + s01 + (s02 + s03);
            for (; whole > 0; whole--)
            {
                V w0 = T.Load<V>(w), w1 = V.Zero, w2 = V.Zero, w3 = V.Zero;
                if (TOutputs.Count > 1)
                {
                    w1 = T.Load<V>(w + rowW);
                    w2 = T.Load<V>(w + (2 * rowW));
                    w3 = T.Load<V>(w + (3 * rowW));
                }

                Step<V, TOutputs>(V.Load(x), w0, w1, w2, w3, ref s00, ref s01, ref s02, ref s03);
                if (TRows.Count > 1) Step<V, TOutputs>(V.Load(x + rowX), w0, w1, w2, w3, ref s10, ref s11, ref s12, ref s13);
                if (TRows.Count > 2) Step<V, TOutputs>(V.Load(x + (2 * rowX)), w0, w1, w2, w3, ref s20, ref s21, ref s22, ref s23);
                if (TRows.Count > 3) Step<V, TOutputs>(V.Load(x + (3 * rowX)), w0, w1, w2, w3, ref s30, ref s31, ref s32, ref s33);
                w += V.Count;
                x += V.Count;
            }

            Store<V, TOutputs>(s00, s01, s02, s03, sums);
            if (TRows.Count > 1) Store<V, TOutputs>(s10, s11, s12, s13, sums + (OutputsAtOnce * V.Count));
            if (TRows.Count > 2) Store<V, TOutputs>(s20, s21, s22, s23, sums + (2 * OutputsAtOnce * V.Count));
            if (TRows.Count > 3) Store<V, TOutputs>(s30, s31, s32, s33, sums + (3 * OutputsAtOnce * V.Count));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Step<V, TOutputs>(V x, V w0, V w1, V w2, V w3, ref V sum0, ref V sum1, ref V sum2, ref V sum3)
            where V : struct, ILanes<V>
            where TOutputs : struct, IKnown
        {
            sum0 = V.MultiplyAdd(x, w0, sum0);
            if (TOutputs.Count == 1) return;
            sum1 = V.MultiplyAdd(x, w1, sum1);
            sum2 = V.MultiplyAdd(x, w2, sum2);
            sum3 = V.MultiplyAdd(x, w3, sum3);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Store<V, TOutputs>(V sum0, V sum1, V sum2, V sum3, float* to)
            where V : struct, ILanes<V>
            where TOutputs : struct, IKnown
        {
            sum0.Store(to);
            if (TOutputs.Count == 1) return;
            sum1.Store(to + V.Count);
            sum2.Store(to + (2 * V.Count));
            sum3.Store(to + (3 * V.Count));
        }

        /// <summary>What is left after the whole vectors, and the element of y.</summary>
        private readonly void Put<V, T>(int row, int output, V sum)
            where V : struct, ILanes<V>
            where T : struct, IWords
        {
            var w = Weights + ((long)output * Columns);
            var x = X + ((long)row * RowX);
            var y = sum.Sum();
            for (var k = Columns / V.Count * V.Count; k < Columns; k++) y += T.Load<Lanes1>(w + k).Sum() * x[k];
            Y[((long)row * Outputs) + output] = y + (Bias == null ? 0 : Bias[output]);
        }
    }
}
