using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>Products of few F32 rows with an F16 or BF16 weight, which is read once and widened in registers.</summary>
internal static unsafe class StoredProductWide
{
    /// <summary>Outputs that stay in the first-level cache while all rows go by.</summary>
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
        static abstract V Load<V, L>(ushort* from) where V : struct, ILanes<V> where L : struct, IStoredLanes<V>;
    }

    private readonly struct Brain : IWords
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load<V, L>(ushort* from) where V : struct, ILanes<V> where L : struct, IStoredLanes<V> => L.LoadBrain(from);
    }

    private readonly struct Halves : IWords
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load<V, L>(ushort* from) where V : struct, ILanes<V> where L : struct, IStoredLanes<V> => L.LoadHalf(from);
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
            if (typeof(V) == typeof(Lanes512)) Run<Lanes512, StoredLanes512>(start, end);
            else if (typeof(V) == typeof(Lanes256)) Run<Lanes256, StoredLanes256>(start, end);
            else if (typeof(V) == typeof(Lanes128)) Run<Lanes128, StoredLanes128>(start, end);
            else Run<Lanes1, StoredLanes1>(start, end);
        }

        private readonly void Run<V, L>(int start, int end) where V : struct, ILanes<V> where L : struct, IStoredLanes<V>
        {
            if (IsBrain) Run<V, L, Brain>(start, end);
            else Run<V, L, Halves>(start, end);
        }

        private readonly void Run<V, L, T>(int start, int end)
            where V : struct, ILanes<V>
            where L : struct, IStoredLanes<V>
            where T : struct, IWords
        {
            for (var first = start; first < end; first += OutputsAtOnce)
            {
                for (int row = 0, rows; row < Rows; row += rows)
                {
                    rows = Rows - row >= 4 ? 4 : Rows - row >= 2 ? 2 : 1;
                    for (var output = first; output < Math.Min(first + OutputsAtOnce, end); output++)
                    {
                        if (rows == 4) Sum<V, L, T, Four>(row, output);
                        else if (rows == 2) Sum<V, L, T, Two>(row, output);
                        else Sum<V, L, T, One>(row, output);
                    }
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private readonly void Sum<V, L, T, TRows>(int row, int output)
            where V : struct, ILanes<V>
            where L : struct, IStoredLanes<V>
            where T : struct, IWords
            where TRows : struct, IKnown
        {
            var w = Weights + ((long)output * Columns);
            var x = X + ((long)row * RowX);
            long rowX = RowX;
            V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
            var k = 0;
            for (; TRows.Count == 1 && k <= Columns - (4 * V.Count); k += 4 * V.Count)
            {
                // One row has registers for four sums, two rows for two each, so that additions need not wait for each other.
                s0 = V.MultiplyAdd(T.Load<V, L>(w + k), V.Load(x + k), s0);
                s1 = V.MultiplyAdd(T.Load<V, L>(w + k + V.Count), V.Load(x + k + V.Count), s1);
                s2 = V.MultiplyAdd(T.Load<V, L>(w + k + (2 * V.Count)), V.Load(x + k + (2 * V.Count)), s2);
                s3 = V.MultiplyAdd(T.Load<V, L>(w + k + (3 * V.Count)), V.Load(x + k + (3 * V.Count)), s3);
            }

            for (; TRows.Count == 2 && k <= Columns - (2 * V.Count); k += 2 * V.Count)
            {
                V first = T.Load<V, L>(w + k), second = T.Load<V, L>(w + k + V.Count);
                s0 = V.MultiplyAdd(first, V.Load(x + k), s0);
                s1 = V.MultiplyAdd(first, V.Load(x + rowX + k), s1);
                s2 = V.MultiplyAdd(second, V.Load(x + k + V.Count), s2);
                s3 = V.MultiplyAdd(second, V.Load(x + rowX + k + V.Count), s3);
            }

            if (TRows.Count == 1) s0 = s0 + s1 + (s2 + s3);
            if (TRows.Count == 2) (s0, s1) = (s0 + s2, s1 + s3);
            for (; k <= Columns - V.Count; k += V.Count)
            {
                var weights = T.Load<V, L>(w + k);
                s0 = V.MultiplyAdd(weights, V.Load(x + k), s0);
                if (TRows.Count > 1) s1 = V.MultiplyAdd(weights, V.Load(x + rowX + k), s1);
                if (TRows.Count > 2) s2 = V.MultiplyAdd(weights, V.Load(x + (2 * rowX) + k), s2);
                if (TRows.Count > 3) s3 = V.MultiplyAdd(weights, V.Load(x + (3 * rowX) + k), s3);
            }

            float y0 = s0.Sum(), y1 = s1.Sum(), y2 = s2.Sum(), y3 = s3.Sum();
            for (; k < Columns; k++)
            {
                var weight = typeof(T) == typeof(Brain)
                    ? BitConverter.UInt32BitsToSingle((uint)w[k] << 16)
                    : (float)BitConverter.UInt16BitsToHalf(w[k]);
                y0 += weight * x[k];
                if (TRows.Count > 1) y1 += weight * x[rowX + k];
                if (TRows.Count > 2) y2 += weight * x[(2 * rowX) + k];
                if (TRows.Count > 3) y3 += weight * x[(3 * rowX) + k];
            }

            var y = Y + ((long)row * Outputs) + output;
            var bias = Bias == null ? 0 : Bias[output];
            y[0] = y0 + bias;
            if (TRows.Count > 1) y[Outputs] = y1 + bias;
            if (TRows.Count > 2) y[2L * Outputs] = y2 + bias;
            if (TRows.Count > 3) y[3L * Outputs] = y3 + bias;
        }
    }
}
