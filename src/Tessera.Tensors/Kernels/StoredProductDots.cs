using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of few rounded rows with a quantized weight, as when one token at a time goes through a layer: each part of the
/// weight is unpacked in registers and multiplied with the same part of up to four rows. Outputs are shared among the threads.
/// </summary>
internal static unsafe class StoredProductDots
{
    /// <summary>Outputs that stay in the first-level cache while all rows go by.</summary>
    private const int OutputsAtOnce = 4;

    /// <summary>Parts whose scales are computed together.</summary>
    private const int Group = 8;

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
            JointWork.Add(ref work, work.Parts);
        }
    }

    /// <summary>The product whose outputs are shared among <see cref="Work.Parts"/>.</summary>
    internal struct Work : IVectorWork
    {
        public QuantizedActivations X;
        public byte* Weights;
        public float* Y, Bias;
        public int Outputs, Parts;
        public long RowBytes;
        public ElementType Type;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            if (Simd.Level >= KernelLevel.Avx512Vnni && StoredProductDot.Has(Type) && X.Blocks % Group == 0 && X.Blocks > 0)
            {
                RunAssembled(part);
                return;
            }

            var (start, end) = Simd.Share(Outputs, Parts, part);
            switch (Type)
            {
                case ElementType.Q8_0: Run<V, Q8Block>(start, end); break;
                case ElementType.Q4_0: Run<V, Q4Block>(start, end); break;
                case ElementType.Q4_K: Run<V, Q4KBlock>(start, end); break;
                case ElementType.MXFP4: Run<V, Mxfp4Block>(start, end); break;
                default: Run<V, Q6KBlock>(start, end); break;
            }
        }

        private readonly void Run<V, B>(int start, int end)
            where V : struct, ILanes<V>
            where B : struct, IStoredBlock<B>
        {
            var scratch = stackalloc float[(3 * Group) + (4 * 2 * Group)];
            for (var first = start; first < end; first += OutputsAtOnce)
            {
                for (int row = 0, rows; row < X.Rows; row += rows)
                {
                    rows = X.Rows - row >= 4 ? 4 : X.Rows - row >= 2 ? 2 : 1;
                    for (var output = first; output < Math.Min(first + OutputsAtOnce, end); output++)
                    {
                        if (rows == 4) Sum<V, B, Four>(row, output, scratch);
                        else if (rows == 2) Sum<V, B, Two>(row, output, scratch);
                        else Sum<V, B, One>(row, output, scratch);
                    }
                }
            }
        }

        private readonly void RunAssembled(int part)
        {
            var (start, end) = Simd.Share(Outputs, Parts, part);
            var run = StoredProductDot.Routine(Type);
            var scratch = stackalloc byte[StoredProductDot.ScratchBytes];
            for (int first = start, count; first < end; first += count)
            {
                count = Math.Min(OutputsAtOnce, end - first);
                for (var row = 0; row < X.Rows; row++)
                {
                    var y = Y + ((long)row * Outputs) + first;
                    var x = X.Part(row, 1);
                    var arguments = new StoredProductDot.Arguments
                    {
                        Weights = Weights + (first * RowBytes), RowBytes = RowBytes, Outputs = count, X = x.Numbers, Scales = x.Scales,
                        Sums = x.Sums, Groups = X.Blocks / Group, Y = y, Scratch = scratch,
                    };
                    run(&arguments);
                    for (var i = 0; i < count && Bias != null; i++) y[i] += Bias[first + i];
                }
            }
        }

        /// <summary>One output of up to four rows; the sums stay in registers.</summary>
        /// <param name="row">The first row.</param>
        /// <param name="output">The weight's row.</param>
        /// <param name="of">Room for the scales and minima of a group, then for the scales of each row.</param>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private readonly void Sum<V, B, TRows>(int row, int output, float* of)
            where V : struct, ILanes<V>
            where B : struct, IStoredBlock<B>
            where TRows : struct, IKnown
        {
            var w = Weights + (output * RowBytes);
            long rowX = X.Columns, blocks = X.Blocks;
            var x = X.Numbers + (row * rowX);
            var scales = X.Scales + (row * blocks);
            var sums = X.Sums + (row * blocks);
            V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
            Vector256<float> m0 = default, m1 = default, m2 = default, m3 = default;
            var own = of + (3 * Group);
            var left = X.Blocks;
            for (; left >= Group; left -= Group)
            {
                B.GroupScales(w, of);
                ScaleRows<B, TRows>(of, scales, blocks, own);
                if (B.HasMinimum)
                {
                    AddMinima<TRows>(of + (2 * Group), sums, blocks, ref m0, ref m1, ref m2, ref m3);
                    sums += Group;
                }

                for (var part = 0; part < Group; part += 2)
                {
                    // One row has registers for two sums, so that additions need not wait for each other.
                    Step<V, B, TRows>(w, part, x, rowX, own + part, ref s0, ref s1, ref s2, ref s3);
                    x += QuantizedActivations.Block;
                    if (TRows.Count == 1) Step<V, B, TRows>(w, part + 1, x, rowX, own + part + 1, ref s1, ref s0, ref s2, ref s3);
                    else Step<V, B, TRows>(w, part + 1, x, rowX, own + part + 1, ref s0, ref s1, ref s2, ref s3);
                    x += QuantizedActivations.Block;
                }

                w += Group / B.Parts * B.Bytes;
                scales += Group;
            }

            // Blocks of one part may leave less than a group.
            for (; left > 0; left--, w += B.Bytes, x += QuantizedActivations.Block, scales++)
                AddBlock<V, B, TRows>(w, x, rowX, scales, blocks, ref s0, ref s1, ref s2, ref s3);

            var y = Y + ((long)row * Outputs) + output;
            var bias = Bias == null ? 0 : Bias[output];
            if (TRows.Count == 1) s0 += s1;
            y[0] = s0.Sum() - Vector256.Sum(m0) + bias;
            if (TRows.Count > 1) y[Outputs] = s1.Sum() - Vector256.Sum(m1) + bias;
            if (TRows.Count > 2) y[2L * Outputs] = s2.Sum() - Vector256.Sum(m2) + bias;
            if (TRows.Count > 3) y[3L * Outputs] = s3.Sum() - Vector256.Sum(m3) + bias;
        }

        /// <summary>The group's scales times those of each row.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void ScaleRows<B, TRows>(float* of, float* scales, long blocks, float* to)
            where B : struct, IStoredBlock<B>
            where TRows : struct, IKnown
        {
            Scale<B>(of, scales, to);
            if (TRows.Count > 1) Scale<B>(of, scales + blocks, to + (2 * Group));
            if (TRows.Count > 2) Scale<B>(of, scales + (2 * blocks), to + (4 * Group));
            if (TRows.Count > 3) Scale<B>(of, scales + (3 * blocks), to + (6 * Group));
        }

        /// <summary>The group's minima times the sums of each row's parts.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void AddMinima<TRows>(
            float* of, float* sums, long blocks, ref Vector256<float> m0, ref Vector256<float> m1, ref Vector256<float> m2,
            ref Vector256<float> m3)
            where TRows : struct, IKnown
        {
            var minima = Vector256.Load(of);
            m0 += minima * Vector256.Load(sums);
            if (TRows.Count > 1) m1 += minima * Vector256.Load(sums + blocks);
            if (TRows.Count > 2) m2 += minima * Vector256.Load(sums + (2 * blocks));
            if (TRows.Count > 3) m3 += minima * Vector256.Load(sums + (3 * blocks));
        }

        /// <summary>Adds a block of one part to the sums.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void AddBlock<V, B, TRows>(
            byte* w, sbyte* x, long rowX, float* scales, long blocks, ref V s0, ref V s1, ref V s2, ref V s3)
            where V : struct, ILanes<V>
            where B : struct, IStoredBlock<B>
            where TRows : struct, IKnown
        {
            var scale = B.Open(w).Scale(0);
            var numbers = B.Numbers(w, 0);
            s0 = V.AddDot(numbers, x, scale * scales[0], s0);
            if (TRows.Count > 1) s1 = V.AddDot(numbers, x + rowX, scale * scales[blocks], s1);
            if (TRows.Count > 2) s2 = V.AddDot(numbers, x + (2 * rowX), scale * scales[2 * blocks], s2);
            if (TRows.Count > 3) s3 = V.AddDot(numbers, x + (3 * rowX), scale * scales[3 * blocks], s3);
        }

        /// <summary>Adds one part of the group to the sums.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Step<V, B, TRows>(byte* w, int part, sbyte* x, long rowX, float* scale, ref V s0, ref V s1, ref V s2, ref V s3)
            where V : struct, ILanes<V>
            where B : struct, IStoredBlock<B>
            where TRows : struct, IKnown
        {
            var numbers = B.Parts == 1 ? B.Numbers(w + (part * B.Bytes), 0) : B.Numbers(w, part);
            s0 = Add<V, B>(numbers, x, scale, s0);
            if (TRows.Count > 1) s1 = Add<V, B>(numbers, x + rowX, scale + (2 * Group), s1);
            if (TRows.Count > 2) s2 = Add<V, B>(numbers, x + (2 * rowX), scale + (4 * Group), s2);
            if (TRows.Count > 3) s3 = Add<V, B>(numbers, x + (3 * rowX), scale + (6 * Group), s3);
        }

        /// <summary>The group's scales times those of a row.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Scale<B>(float* of, float* row, float* to) where B : struct, IStoredBlock<B>
        {
            var scales = Vector256.Load(row);
            (Vector256.Load(of) * scales).Store(to);
            if (B.HasLastScale) (Vector256.Load(of + Group) * scales).Store(to + Group);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static V Add<V, B>(Vector256<sbyte> numbers, sbyte* x, float* scale, V sum)
            where V : struct, ILanes<V>
            where B : struct, IStoredBlock<B> =>
            B.HasLastScale ? V.AddDot(numbers, x, scale[0], scale[Group], sum) : V.AddDot(numbers, x, scale[0], sum);
    }
}
