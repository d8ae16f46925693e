using System.Numerics.Tensors;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Element-wise products, cut over the threads as <see cref="SumKernel"/> cuts sums.</summary>
internal static unsafe class ProductKernel
{
    /// <summary><c>y = left · right</c>, or <c>y += left · right</c>; y may be one of them.</summary>
    public static void Multiply(ReadOnlySpan<float> left, ReadOnlySpan<float> right, Span<float> y, bool accumulate = false)
    {
        fixed (float* pl = left, pr = right, py = y)
        {
            var (count, parts) = (y.Length, Simd.Parts(y.Length, 1));
            var work = new Work { Left = pl, Right = pr, Y = py, Accumulate = accumulate, Count = count, Parts = parts };
            ThreadTeam.Shared.Run(ref work, work.Parts);
        }
    }

    private struct Work : IParallelWork
    {
        public float* Left, Right, Y;
        public bool Accumulate;
        public int Count, Parts;

        public readonly void Run(int part)
        {
            var (start, end) = Simd.Share(Count, Parts, part);
            var count = end - start;
            var left = new ReadOnlySpan<float>(Left + start, count);
            var right = new ReadOnlySpan<float>(Right + start, count);
            var y = new Span<float>(Y + start, count);
            if (Accumulate) TensorPrimitives.MultiplyAdd(left, right, y, y);
            else TensorPrimitives.Multiply(left, right, y);
        }
    }
}
