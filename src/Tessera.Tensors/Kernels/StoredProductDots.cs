using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of few rounded rows with a quantized weight, as when one token at a time goes through a layer: each block of the
/// weight is unpacked in registers and multiplied with the same block of up to four rows. Outputs are shared among the threads.
/// </summary>
internal static unsafe class StoredProductDots
{
    /// <summary>Outputs that stay in the first-level cache while all rows go by.</summary>
    private const int OutputsAtOnce = 4;

    /// <summary><c>y = x wᵀ + bias</c>.</summary>
    public static void Multiply(in QuantizedActivations x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias)
    {
        fixed (byte* weights = w.Data)
        fixed (float* target = y, added = bias)
        {
            var work = new Work
            {
                X = x, Weights = weights, Y = target, Bias = added, Outputs = w.Rows, RowBytes = w.RowBytes, Type = w.Type,
                Parts = Simd.Parts(w.Rows, (long)x.Rows * x.Columns),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public QuantizedActivations X;
        public byte* Weights;
        public float* Y, Bias;
        public int Outputs, Parts;
        public long RowBytes;
        public ElementType Type;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            if (typeof(V) == typeof(Lanes512)) Run<Lanes512, StoredLanes512>(part);
            else if (typeof(V) == typeof(Lanes256)) Run<Lanes256, StoredLanes256>(part);
            else if (typeof(V) == typeof(Lanes128)) Run<Lanes128, StoredLanes128>(part);
            else Run<Lanes1, StoredLanes1>(part);
        }

        private readonly void Run<V, L>(int part) where V : struct, ILanes<V> where L : struct, IStoredLanes<V>
        {
            var (start, end) = Simd.Share(Outputs, Parts, part);
            switch (Type)
            {
                case ElementType.Q8_0: Run<V, L, Q8Block>(start, end); break;
                case ElementType.Q4_0: Run<V, L, Q4Block>(start, end); break;
                case ElementType.Q4_K: Run<V, L, Q4KBlock>(start, end); break;
                default: Run<V, L, Q6KBlock>(start, end); break;
            }
        }

        private readonly void Run<V, L, B>(int start, int end)
            where V : struct, ILanes<V>
            where L : struct, IStoredLanes<V>
            where B : struct, IStoredBlock<B>
        {
            for (var first = start; first < end; first += OutputsAtOnce)
            {
                for (int row = 0, rows; row < X.Rows; row += rows)
                {
                    rows = X.Rows - row >= 4 ? 4 : X.Rows - row >= 2 ? 2 : 1;
                    for (var output = first; output < Math.Min(first + OutputsAtOnce, end); output++)
                    {
                        if (rows == 4) Sum<V, L, B, Four>(row, output);
                        else if (rows == 2) Sum<V, L, B, Two>(row, output);
                        else Sum<V, L, B, One>(row, output);
                    }
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private readonly void Sum<V, L, B, TRows>(int row, int output)
            where V : struct, ILanes<V>
            where L : struct, IStoredLanes<V>
            where B : struct, IStoredBlock<B>
            where TRows : struct, IKnown
        {
            var w = Weights + (output * RowBytes);
            long rowX = X.Columns, blocks = X.Blocks;
            var x = X.Numbers + (row * rowX);
            var scales = X.Scales + (row * blocks);
            var sums = X.Sums + (row * blocks);
            V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
            float m0 = 0, m1 = 0, m2 = 0, m3 = 0;
            for (var left = X.Blocks / B.Parts; left > 0; left--, w += B.Bytes)
            {
                var block = B.Open(w);
                for (var part = 0; part < B.Parts; part++)
                {
                    var numbers = B.Numbers(w, part);
                    var scale = block.Scale(part);
                    var last = B.HasLastScale ? block.LastScale(part) : scale;
                    s0 = Add<V, L, B>(numbers, x, scale, last, scales[0], s0);
                    if (TRows.Count > 1) s1 = Add<V, L, B>(numbers, x + rowX, scale, last, scales[blocks], s1);
                    if (TRows.Count > 2) s2 = Add<V, L, B>(numbers, x + (2 * rowX), scale, last, scales[2 * blocks], s2);
                    if (TRows.Count > 3) s3 = Add<V, L, B>(numbers, x + (3 * rowX), scale, last, scales[3 * blocks], s3);
                    if (B.HasMinimum)
                    {
                        var minimum = block.Minimum(part);
                        m0 += minimum * sums[0];
                        if (TRows.Count > 1) m1 += minimum * sums[blocks];
                        if (TRows.Count > 2) m2 += minimum * sums[2 * blocks];
                        if (TRows.Count > 3) m3 += minimum * sums[3 * blocks];
                        sums++;
                    }

                    x += QuantizedActivations.Block;
                    scales++;
                }
            }

            var y = Y + ((long)row * Outputs) + output;
            var bias = Bias == null ? 0 : Bias[output];
            y[0] = s0.Sum() - m0 + bias;
            if (TRows.Count > 1) y[Outputs] = s1.Sum() - m1 + bias;
            if (TRows.Count > 2) y[2L * Outputs] = s2.Sum() - m2 + bias;
            if (TRows.Count > 3) y[3L * Outputs] = s3.Sum() - m3 + bias;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static V Add<V, L, B>(
            Vector256<sbyte> numbers, sbyte* x, float scale, float last, float scaleX, V sum)
            where V : struct, ILanes<V>
            where L : struct, IStoredLanes<V>
            where B : struct, IStoredBlock<B> => B.HasLastScale
            ? L.Add(numbers, x, scale * scaleX, last * scaleX, sum)
            : L.Add(numbers, x, scale * scaleX, sum);
    }
}
