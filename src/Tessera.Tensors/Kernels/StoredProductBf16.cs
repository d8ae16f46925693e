using System.Runtime.Intrinsics;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Products of few rows, rounded to BF16, with a BF16 weight, which is read once, where it lies.</summary>
internal static unsafe class StoredProductBf16
{
    /// <summary><c>y = x wᵀ + bias</c>; needs <see cref="MatrixProductKinds.HasBf16"/>.</summary>
    /// <param name="x">m × k; k is at least 1.</param>
    /// <param name="w">n × k, BF16.</param>
    /// <param name="y">m × n.</param>
    /// <param name="bias">n elements, or none.</param>
    /// <param name="joins">Whether it may be done later, as a part of what is open (<see cref="JointWork"/>).</param>
    public static void Multiply(in Bf16Activations x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias, bool joins)
    {
        fixed (float* target = y, added = bias)
        fixed (byte* weights = w.Data)
        {
            var work = new Work
            {
                X = x.Numbers, StrideX = x.Stride, Weights = weights, Y = target, Bias = added, Rows = x.Rows, Columns = x.Columns,
                Outputs = w.Rows, Parts = Simd.Parts(w.Rows, (long)x.Rows * x.Columns / 2),
            };
            if (joins) JointWork.Add(ref work, work.Parts);
            else Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public byte* X, Weights;
        public nint StrideX;
        public float* Y, Bias;
        public int Rows, Columns, Outputs, Parts;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            const int Max = Bf16Dots.Max;
            var (start, end) = Simd.Share(Outputs, Parts, part);
            var sums = stackalloc float[Max * Max * Vector512<float>.Count];
            var rowBytes = (nint)Columns * sizeof(ushort);
            for (var output = start; output < end; output += Max)
            {
                var outputs = Math.Min(Max, end - output);
                for (var row = 0; row < Rows; row += Max)
                {
                    var rows = Math.Min(Max, Rows - row);
                    Bf16Dots.Run(rows, outputs, new Bf16DotOperands
                    {
                        A = X + (row * StrideX), StrideA = StrideX, B = Weights + (output * rowBytes), StrideB = rowBytes, Sums = sums,
                        Whole = Columns / Bf16Dots.AtOnce, Mask = (nuint)((1UL << (Columns % Bf16Dots.AtOnce)) - 1),
                    });
                    for (var i = 0; i < rows; i++)
                    {
                        for (var j = 0; j < outputs; j++)
                        {
                            var sum = Vector512.Sum(Vector512.Load(sums + (((i * Max) + j) * Vector512<float>.Count)));
                            Y[((long)(row + i) * Outputs) + output + j] = sum + (Bias == null ? 0 : Bias[output + j]);
                        }
                    }
                }
            }
        }
    }
}
