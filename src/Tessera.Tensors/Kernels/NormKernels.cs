using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>Layer normalisation of rows, with and without centring (RMS), forward and backward.</summary>
internal static unsafe class NormKernels
{
    /// <summary>Rows that a part of <see cref="Backward"/> writes: the sums for weight and bias.</summary>
    public const int BackwardRows = 2;

    /// <summary><c>y = (x − mean) · inverse · weight + bias</c> a row; without centring the mean is 0 and there is no bias.</summary>
    /// <param name="x">rows × width.</param>
    /// <param name="weight">width.</param>
    /// <param name="bias">width, or empty.</param>
    /// <param name="y">rows × width.</param>
    /// <param name="statistics">Written: mean and inverse deviation of each row, 2 × rows.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="centred">Whether the mean is taken away.</param>
    public static void Forward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias, Span<float> y, Span<float> statistics, float epsilon,
        bool centred)
    {
        fixed (float* px = x, pw = weight, pb = bias, py = y, ps = statistics)
        {
            var rows = statistics.Length / 2;
            var work = new ForwardWork
            {
                X = px, Weight = pw, Bias = pb, Y = py, Statistics = ps, Rows = rows, Width = weight.Length,
                Epsilon = epsilon, Centred = centred, Parts = Simd.Parts(rows, 4L * weight.Length),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    /// <summary>The gradient of x, added or written, and those of weight and bias as one partial sum a part.</summary>
    /// <param name="partial">parts × <see cref="BackwardRows"/> × width, to be added up in order; parts as
    /// <see cref="BackwardParts"/>.</param>
    public static void Backward(
        ReadOnlySpan<float> x,
        ReadOnlySpan<float> weight,
        ReadOnlySpan<float> statistics,
        ReadOnlySpan<float> dy,
        Span<float> dx,
        bool accumulate,
        Span<float> partial, bool centred)
    {
        partial.Clear();
        fixed (float* px = x, pw = weight, ps = statistics, pdy = dy, pdx = dx, pp = partial)
        {
            var rows = statistics.Length / 2;
            var work = new BackwardWork
            {
                X = px, Weight = pw, Statistics = ps, Dy = pdy, Dx = pdx, Partial = pp, Rows = rows, Width = weight.Length,
                Accumulate = accumulate, WantsInput = dx.Length > 0, Centred = centred, Parts = BackwardParts(rows, weight.Length),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    public static int BackwardParts(int rows, int width) => Math.Min(Simd.Parts(rows, 8L * width), Simd.Threads);

    private struct ForwardWork : IVectorWork
    {
        public float* X, Weight, Bias, Y, Statistics;
        public int Rows, Width, Parts;
        public float Epsilon;
        public bool Centred;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++)
            {
                var x = X + ((long)row * Width);
                var mean = Centred ? Sum<V>(x, Width) / Width : 0;
                var inverse = 1 / MathF.Sqrt((SumOfSquares<V>(x, Width, mean) / Width) + Epsilon);
                Put<V>(x, Y + ((long)row * Width), mean, inverse);
                (Statistics[2 * row], Statistics[(2 * row) + 1]) = (mean, inverse);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private readonly void Put<V>(float* x, float* y, float mean, float inverse) where V : struct, ILanes<V>
        {
            var j = 0;
            for (; j <= Width - V.Count; j += V.Count) PutAt<V>(x, y, mean, inverse, j);
            for (; j < Width; j++) PutAt<Lanes1>(x, y, mean, inverse, j);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void PutAt<V>(float* x, float* y, float mean, float inverse, int j) where V : struct, ILanes<V>
        {
            var normal = (V.Load(x + j) - V.All(mean)) * V.All(inverse);
            (Bias is null ? normal * V.Load(Weight + j) : V.MultiplyAdd(normal, V.Load(Weight + j), V.Load(Bias + j))).Store(y + j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Sum<V>(float* x, int width) where V : struct, ILanes<V>
    {
        var (sum, tail, j) = (V.Zero, 0f, 0);
        for (; j <= width - V.Count; j += V.Count) sum += V.Load(x + j);
        for (; j < width; j++) tail += x[j];
        return sum.Sum() + tail;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float SumOfSquares<V>(float* x, int width, float mean) where V : struct, ILanes<V>
    {
        var (even, odd, centre, tail, j) = (V.Zero, V.Zero, V.All(mean), 0f, 0);
        for (; j <= width - (2 * V.Count); j += 2 * V.Count)
        {
            V left = V.Load(x + j) - centre, right = V.Load(x + j + V.Count) - centre;
            even = V.MultiplyAdd(left, left, even);
            odd = V.MultiplyAdd(right, right, odd);
        }

        for (; j < width; j++) tail += (x[j] - mean) * (x[j] - mean);
        return (even + odd).Sum() + tail;
    }

    private struct BackwardWork : IVectorWork
    {
        public float* X, Weight, Statistics, Dy, Dx, Partial;
        public int Rows, Width, Parts;
        public bool Accumulate, WantsInput, Centred;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var dWeight = Partial + ((long)part * BackwardRows * Width);
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++)
            {
                var at = new Row
                {
                    X = X + ((long)row * Width),
                    Dy = Dy + ((long)row * Width),
                    Dx = Dx + ((long)row * Width),
                    Weight = Weight,
                    DWeight = dWeight,
                    DBias = dWeight + Width, Mean = Statistics[2 * row], Inverse = Statistics[(2 * row) + 1], Width = Width,
                };
                var (along, mean) = Sums<V>(at, Centred);
                // dx = inverse (g − mean(g) − n mean(g n)) with g = dy · weight and n the normalised row
                if (WantsInput) Put<V>(at, along / Width, mean / Width, Accumulate);
            }
        }

        /// <summary>Adds to the gradients of weight and bias; the sums of g n and, where centred, of g.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static (float Along, float Mean) Sums<V>(Row row, bool centred) where V : struct, ILanes<V>
        {
            var (along, sum, alongTail, sumTail) = (V.Zero, V.Zero, Lanes1.Zero, Lanes1.Zero);
            var j = 0;
            for (; j <= row.Width - V.Count; j += V.Count) SumAt(row, centred, j, ref along, ref sum);
            for (; j < row.Width; j++) SumAt(row, centred, j, ref alongTail, ref sumTail);
            return (along.Sum() + alongTail.Sum(), sum.Sum() + sumTail.Sum());
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void SumAt<V>(in Row row, bool centred, int j, ref V along, ref V sum) where V : struct, ILanes<V>
        {
            var (normal, dy) = (row.Normal<V>(j), V.Load(row.Dy + j));
            var gradient = dy * V.Load(row.Weight + j);
            along = V.MultiplyAdd(gradient, normal, along);
            V.MultiplyAdd(dy, normal, V.Load(row.DWeight + j)).Store(row.DWeight + j);
            if (!centred) return;
            sum += gradient;
            (V.Load(row.DBias + j) + dy).Store(row.DBias + j);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void Put<V>(Row row, float along, float mean, bool accumulate) where V : struct, ILanes<V>
        {
            var j = 0;
            for (; j <= row.Width - V.Count; j += V.Count) PutAt<V>(row, along, mean, accumulate, j);
            for (; j < row.Width; j++) PutAt<Lanes1>(row, along, mean, accumulate, j);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void PutAt<V>(in Row row, float along, float mean, bool accumulate, int j) where V : struct, ILanes<V>
        {
            var gradient = (V.Load(row.Dy + j) * V.Load(row.Weight + j)) - V.All(mean);
            gradient = V.MultiplyAdd(row.Normal<V>(j), V.All(-along), gradient) * V.All(row.Inverse);
            (accumulate ? V.Load(row.Dx + j) + gradient : gradient).Store(row.Dx + j);
        }
    }

    private struct Row
    {
        public float* X, Dy, Dx, Weight, DWeight, DBias;
        public float Mean, Inverse;
        public int Width;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly V Normal<V>(int j) where V : struct, ILanes<V> => (V.Load(X + j) - V.All(Mean)) * V.All(Inverse);
    }
}
