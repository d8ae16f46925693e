using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Rotation of pairs of elements by tabled angles.</summary>
internal static unsafe class RotaryKernels
{
    /// <param name="x">tokens × heads × width.</param>
    /// <param name="y">The same; written or added to.</param>
    /// <param name="positions">A row of the tables for each token; checked by the caller.</param>
    /// <param name="cosines">positions × pairs.</param>
    /// <param name="sines">positions × pairs.</param>
    /// <param name="direction">1 to turn, −1 to turn back.</param>
    public static void Rotate(
        ReadOnlySpan<float> x, Span<float> y, ReadOnlySpan<int> positions, ReadOnlySpan<float> cosines, ReadOnlySpan<float> sines,
        int heads, int width, int pairs, RotaryLayout layout, float direction, bool accumulate)
    {
        fixed (float* px = x, py = y, pc = cosines, ps = sines)
        fixed (int* pp = positions)
        {
            var work = new Work
            {
                X = px,
                Y = py,
                Cosines = pc,
                Sines = ps,
                Positions = pp,
                Tokens = positions.Length,
                Heads = heads,
                Width = width,
                Pairs = pairs,
                Next = layout == RotaryLayout.Halves ? pairs : 1, Step = layout == RotaryLayout.Halves ? 1 : 2,
                Direction = direction, Accumulate = accumulate, Parts = Simd.Parts(positions.Length, 2L * heads * width),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public float* X, Y, Cosines, Sines;
        public int* Positions;
        public int Tokens, Heads, Width, Pairs, Next, Step, Parts;
        public float Direction;
        public bool Accumulate;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (start, end) = Simd.Share(Tokens, Parts, part);
            for (var token = start; token < end; token++)
            {
                var cosines = Cosines + ((long)Positions[token] * Pairs);
                var sines = Sines + ((long)Positions[token] * Pairs);
                for (var head = 0; head < Heads; head++)
                {
                    var offset = (((long)token * Heads) + head) * Width;
                    Turn<V>(X + offset, Y + offset, cosines, sines);
                    for (var i = 2 * Pairs; i < Width; i++) Y[offset + i] = Accumulate ? Y[offset + i] + X[offset + i] : X[offset + i];
                }
            }
        }

        private readonly void Turn<V>(float* x, float* y, float* cosines, float* sines) where V : struct, ILanes<V>
        {
            var pair = 0;
            if (Step == 1)
                for (; pair + V.Count <= Pairs; pair += V.Count) Pair<V>(x + pair, y + pair, cosines + pair, sines + pair);
            for (; pair < Pairs; pair++) Pair<Lanes1>(x + (pair * Step), y + (pair * Step), cosines + pair, sines + pair);
        }

        private readonly void Pair<V>(float* x, float* y, float* cosine, float* sine) where V : struct, ILanes<V>
        {
            var (first, second) = (V.Load(x), V.Load(x + Next));
            var (c, s) = (V.Load(cosine), V.Load(sine) * V.All(Direction));
            var (turnedFirst, turnedSecond) = ((first * c) - (second * s), (second * c) + (first * s));
            if (Accumulate) (turnedFirst, turnedSecond) = (turnedFirst + V.Load(y), turnedSecond + V.Load(y + Next));
            turnedFirst.Store(y);
            turnedSecond.Store(y + Next);
        }
    }
}
