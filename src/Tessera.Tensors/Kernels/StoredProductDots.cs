using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
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

    /// <summary>Scales, and scales of last halves, of a group and four rows.</summary>
    private const int RowsScales = 4 * 2 * Group;

    /// <summary>Bytes ahead of which memory is asked for: further than processors do by themselves, and across pages.</summary>
    private const int Ahead = 4096, Line = 64;

    /// <summary><c>y = x wᵀ + bias</c>; later, as a part of what is open (<see cref="JointWork"/>), where it <paramref name="joins"/>
    /// and x is ordered already.</summary>
    public static void Multiply(in QuantizedActivations x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias, bool joins)
    {
        var bytes = x.Ordered == null && StoredProductDotRows.Suits(x.Columns) ? x.Rows * x.OrderedStride : 0;
        var memory = bytes == 0 ? 0 : Arena.Current.Take(bytes);
        fixed (byte* weights = w.Data)
        fixed (float* target = y, added = bias)
        {
            var work = new Work
            {
                X = bytes == 0 ? x : x.WithOrder((byte*)memory), Weights = weights, Y = target, Bias = added, Outputs = w.Rows,
                RowBytes = w.RowBytes, Type = w.Type, Parts = Simd.Parts(w.Rows, (long)x.Rows * x.Columns),
            };
            if (joins && bytes == 0) JointWork.Add(ref work, work.Parts);
            else Simd.Run(ref work, work.Parts);
        }

        if (bytes > 0) Arena.Current.Return(memory, bytes);
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
            if (X.Ordered != null)
            {
                RunAssembled(part);
                return;
            }

            var blocks = new OfBlocks<V>(this);
            Type.Run(ref blocks, part);
        }

        /// <summary>The work with vectors of a width.</summary>
        private readonly struct OfBlocks<V>(Work work) : IStoredBlockWork where V : struct, ILanes<V>
        {
            private readonly Work _work = work;

            public void Run<B>(int part) where B : struct, IStoredBlock<B>
            {
                var (start, end) = Simd.Share(_work.Outputs, _work.Parts, part);
                _work.Run<V, B>(start, end);
            }
        }

        private readonly void Run<V, B>(int start, int end)
            where V : struct, ILanes<V>
            where B : struct, IStoredBlock<B>
        {
            var scratch = stackalloc float[(4 * Group) + (2 * RowsScales)];
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
            for (int first = start, count; first < end; first += count)
            {
                count = Math.Min(OutputsAtOnce, end - first);
                for (int row = 0, rows; row < X.Rows; row += rows)
                {
                    rows = Math.Min(StoredProductDot.MaxRows, X.Rows - row);
                    var pairs = rows == 1 ? count / StoredProductDot.MaxOutputs * StoredProductDot.MaxOutputs : 0;
                    if (pairs > 0) RunAssembled(row, rows, first, pairs, StoredProductDot.MaxOutputs);
                    if (count > pairs) RunAssembled(row, rows, first + pairs, count - pairs, 1);
                }
            }
        }

        private readonly void RunAssembled(int row, int rows, int first, int count, int atOnce)
        {
            var y = Y + ((long)row * Outputs) + first;
            var arguments = new StoredProductDot.Arguments
            {
                Weights = Weights + (first * RowBytes), RowBytes = RowBytes, Outputs = count, X = X.Ordered + (row * X.OrderedStride),
                RowX = X.OrderedStride, Groups = X.Columns / StoredProductDotRows.Columns, Y = y, RowY = (long)Outputs * sizeof(float),
            };
            StoredProductDot.Routine(Type, rows, atOnce)(&arguments);
            for (var i = 0; i < rows && Bias != null; i++)
                for (var j = 0; j < count; j++) y[((long)i * Outputs) + j] += Bias[first + j];
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
            var own = of + (4 * Group);
            var left = X.Blocks;
            for (; left >= Group; left -= Group)
            {
                FetchAhead<B>(w);
                B.GroupScales(w, of);
                ScaleRows<B, TRows>(of, scales, blocks, own);
                if (B.HasMinimum && B.HasLastScale)
                {
                    // Sums of halves are products with ones; they are taken away.
                    ScaleRows<B, TRows>(of + (2 * Group), scales, blocks, own + RowsScales);
                    for (var part = 0; part < Group; part++)
                        Step<V, B, TRows>(
                            Vector256.Create((sbyte)-1), x + (part * QuantizedActivations.Block), rowX, own + RowsScales + part,
                            ref s0, ref s1, ref s2, ref s3);
                }
                else if (B.HasMinimum)
                {
                    AddMinima<TRows>(of + (2 * Group), sums, blocks, ref m0, ref m1, ref m2, ref m3);
                    sums += Group;
                }

                for (var part = 0; part < Group; part += 2)
                {
                    // One row has registers for two sums, so that additions need not wait for each other.
                    Step<V, B, TRows>(Numbers<B>(w, part), x, rowX, own + part, ref s0, ref s1, ref s2, ref s3);
                    x += QuantizedActivations.Block;
                    var next = Numbers<B>(w, part + 1);
                    if (TRows.Count == 1) Step<V, B, TRows>(next, x, rowX, own + part + 1, ref s1, ref s0, ref s2, ref s3);
                    else Step<V, B, TRows>(next, x, rowX, own + part + 1, ref s0, ref s1, ref s2, ref s3);
                    x += QuantizedActivations.Block;
                }

                w += Group / B.Parts * B.Bytes;
                scales += Group;
            }

            // Blocks of one part may leave less than a group.
            for (; left > 0; left--, w += B.Bytes, x += QuantizedActivations.Block, scales++)
            {
                AddBlock<V, B, TRows>(w, x, rowX, scales, blocks, ref s0, ref s1, ref s2, ref s3);
                if (!B.HasMinimum) continue;
                AddMinimum<TRows>(B.Open(w).Minimum(0), sums, blocks, ref m0, ref m1, ref m2, ref m3);
                sums++;
            }

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

        /// <summary>The minimum of a block of one part times the sums of each row's.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void AddMinimum<TRows>(
            float minimum, float* sums, long blocks, ref Vector256<float> m0, ref Vector256<float> m1, ref Vector256<float> m2,
            ref Vector256<float> m3)
            where TRows : struct, IKnown
        {
            m0 += Vector256.CreateScalar(minimum * sums[0]);
            if (TRows.Count > 1) m1 += Vector256.CreateScalar(minimum * sums[blocks]);
            if (TRows.Count > 2) m2 += Vector256.CreateScalar(minimum * sums[2 * blocks]);
            if (TRows.Count > 3) m3 += Vector256.CreateScalar(minimum * sums[3 * blocks]);
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

        /// <summary>The numbers of one part of the group.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector256<sbyte> Numbers<B>(byte* w, int part) where B : struct, IStoredBlock<B> =>
            B.Parts == 1 ? B.Numbers(w + (part * B.Bytes), 0) : B.Numbers(w, part);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void FetchAhead<B>(byte* w) where B : struct, IStoredBlock<B>
        {
            if (!Sse.IsSupported) return;
            for (var at = Ahead; at < Ahead + (Group / B.Parts * B.Bytes); at += Line) Sse.Prefetch0(w + at);
        }

        /// <summary>Adds one part of the group to the sums.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Step<V, B, TRows>(
            Vector256<sbyte> numbers, sbyte* x, long rowX, float* scale, ref V s0, ref V s1, ref V s2, ref V s3)
            where V : struct, ILanes<V>
            where B : struct, IStoredBlock<B>
            where TRows : struct, IKnown
        {
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
