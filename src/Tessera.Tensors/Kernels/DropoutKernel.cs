using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Zeroes random elements and scales the others. One 64-bit number decides about four elements, 16 bits each.</summary>
internal static unsafe class DropoutKernel
{
    private const int ElementsANumber = 4;

    /// <summary>Writes, or adds, what is left of x.</summary>
    public static void Drop(ReadOnlySpan<float> x, Span<float> y, float rate, CounterRandom random, bool accumulate)
    {
        fixed (float* px = x, py = y)
        {
            var numbers = (x.Length + ElementsANumber - 1) / ElementsANumber;
            var work = new Work
            {
                X = px, Y = py, Count = x.Length, Numbers = numbers, Parts = Simd.Parts(numbers, 4L * ElementsANumber),
                Threshold = (int)Math.Round(rate * 65536.0), Keep = 1 / (1 - rate), Random = random, Accumulate = accumulate,
            };
            ThreadTeam.Shared.Run(ref work, work.Parts);
        }
    }

    private struct Work : IParallelWork
    {
        public float* X, Y;
        public int Count, Numbers, Parts, Threshold;
        public float Keep;
        public CounterRandom Random;
        public bool Accumulate;

        public readonly void Run(int part)
        {
            var (start, end) = Simd.Share(Numbers, Parts, part);
            for (var number = start; number < end; number++)
            {
                var bits = Random.Bits((ulong)number);
                var last = Math.Min((number + 1) * ElementsANumber, Count);
                for (var i = number * ElementsANumber; i < last; i++, bits >>= 16)
                {
                    var value = (int)(bits & 0xFFFF) < Threshold ? 0 : X[i] * Keep;
                    Y[i] = Accumulate ? Y[i] + value : value;
                }
            }
        }
    }
}
