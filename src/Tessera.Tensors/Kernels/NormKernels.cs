using System.Numerics.Tensors;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Layer normalisation of rows, with and without centring (RMS), forward and backward.</summary>
internal static unsafe class NormKernels
{
    /// <summary>Rows that a part of <see cref="Backward"/> needs: the sums for weight and bias, and two for its own use.</summary>
    public const int BackwardRows = 4;

    /// <summary><c>y = (x − mean) · inverse · weight + bias</c> a row; without centring the mean is 0 and there is no bias.</summary>
    /// <param name="x">rows × width.</param>
    /// <param name="weight">width.</param>
    /// <param name="bias">width, or empty.</param>
    /// <param name="y">rows × width.</param>
    /// <param name="statistics">Written: mean and inverse deviation of each row, 2 × rows.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="centred">Whether the mean is taken away.</param>
    public static void Forward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias, Span<float> y, Span<float> statistics, float epsilon, bool centred)
    {
        fixed (float* px = x, pw = weight, pb = bias, py = y, ps = statistics)
        {
            var rows = statistics.Length / 2;
            var work = new ForwardWork
            {
                X = px, Weight = pw, Bias = pb, Y = py, Statistics = ps, Rows = rows, Width = weight.Length, HasBias = bias.Length > 0,
                Epsilon = epsilon, Centred = centred, Parts = Simd.Parts(rows, 4L * weight.Length),
            };
            ThreadTeam.Shared.Run(ref work, work.Parts);
        }
    }

    /// <summary>The gradient of x, added or written, and those of weight and bias as one partial sum a part.</summary>
    /// <param name="partial">parts × <see cref="BackwardRows"/> × width, of which the first two rows of each part are its sums,
    /// to be added up in order; parts as <see cref="BackwardParts"/>.</param>
    public static void Backward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> weight, ReadOnlySpan<float> statistics, ReadOnlySpan<float> dy, Span<float> dx, bool accumulate,
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
            ThreadTeam.Shared.Run(ref work, work.Parts);
        }
    }

    public static int BackwardParts(int rows, int width) => Math.Min(Simd.Parts(rows, 8L * width), Simd.Threads);

    private struct ForwardWork : IParallelWork
    {
        public float* X, Weight, Bias, Y, Statistics;
        public int Rows, Width, Parts;
        public float Epsilon;
        public bool Centred, HasBias;

        public readonly void Run(int part)
        {
            var weight = new ReadOnlySpan<float>(Weight, Width);
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++)
            {
                var x = new ReadOnlySpan<float>(X + ((long)row * Width), Width);
                var y = new Span<float>(Y + ((long)row * Width), Width);
                var mean = 0f;
                var centred = x;
                if (Centred)
                {
                    mean = TensorPrimitives.Sum(x) / Width;
                    TensorPrimitives.Subtract(x, mean, y);
                    centred = y;
                }

                var inverse = 1 / MathF.Sqrt((TensorPrimitives.SumOfSquares(centred) / Width) + Epsilon);
                TensorPrimitives.Multiply(centred, inverse, y);
                if (HasBias) TensorPrimitives.MultiplyAdd(y, weight, new ReadOnlySpan<float>(Bias, Width), y);
                else TensorPrimitives.Multiply(y, weight, y);
                (Statistics[2 * row], Statistics[(2 * row) + 1]) = (mean, inverse);
            }
        }
    }

    private struct BackwardWork : IParallelWork
    {
        public float* X, Weight, Statistics, Dy, Dx, Partial;
        public int Rows, Width, Parts;
        public bool Accumulate, WantsInput, Centred;

        public readonly void Run(int part)
        {
            var rows = new Span<float>(Partial + ((long)part * BackwardRows * Width), BackwardRows * Width);
            var dWeight = rows[..Width];
            var dBias = rows.Slice(Width, Width);
            var normal = rows.Slice(2 * Width, Width);
            var gradient = rows.Slice(3 * Width, Width);
            var weight = new ReadOnlySpan<float>(Weight, Width);
            var (start, end) = Simd.Share(Rows, Parts, part);
            for (var row = start; row < end; row++)
            {
                var (mean, inverse) = (Statistics[2 * row], Statistics[(2 * row) + 1]);
                var x = new ReadOnlySpan<float>(X + ((long)row * Width), Width);
                var dy = new ReadOnlySpan<float>(Dy + ((long)row * Width), Width);
                if (Centred) TensorPrimitives.Subtract(x, mean, normal);
                TensorPrimitives.Multiply(Centred ? normal : x, inverse, normal);
                TensorPrimitives.MultiplyAdd(dy, normal, dWeight, dWeight);
                if (Centred) TensorPrimitives.Add(dy, dBias, dBias);
                if (!WantsInput) continue;

                // dx = inverse (g − mean(g) − n mean(g n)) with g = dy · weight and n the normalised row
                TensorPrimitives.Multiply(dy, weight, gradient);
                var along = TensorPrimitives.Dot<float>(gradient, normal) / Width;
                if (Centred) TensorPrimitives.Subtract(gradient, TensorPrimitives.Sum<float>(gradient) / Width, gradient);
                TensorPrimitives.MultiplyAdd(normal, -along, gradient, gradient);
                var dx = new Span<float>(Dx + ((long)row * Width), Width);
                if (Accumulate) TensorPrimitives.MultiplyAdd(gradient, inverse, dx, dx);
                else TensorPrimitives.Multiply(gradient, inverse, dx);
            }
        }
    }
}
