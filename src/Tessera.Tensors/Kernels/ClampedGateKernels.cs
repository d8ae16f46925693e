using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary><c>g σ(α g) (u + 1)</c> element by element, forward and backward, where <c>g = min(gate, limit)</c> and
/// <c>u = clamp(up, ±limit)</c>.</summary>
internal static unsafe class ClampedGateKernels
{
    /// <summary>The values.</summary>
    public static void Forward(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, float alpha, float limit, Span<float> y)
    {
        fixed (float* pGate = gate, pUp = up, py = y)
        {
            var work = new Work { Gate = pGate, Up = pUp, Y = py, Count = gate.Length, Alpha = alpha, Limit = limit };
            work.Parts = Simd.Parts(work.Count, 4);
            Simd.Run(ref work, work.Parts);
        }
    }

    /// <summary>The gradients of gate and up, of which there may be only one; <paramref name="dUp"/> may lie where
    /// <paramref name="dy"/> does. Where an input is beyond its limit it has none.</summary>
    public static void Backward(
        ReadOnlySpan<float> gate, ReadOnlySpan<float> up, float alpha, float limit, ReadOnlySpan<float> dy,
        Span<float> dGate, bool accumulate, Span<float> dUp, bool accumulateUp)
    {
        fixed (float* pGate = gate, pUp = up, py = dy, pdGate = dGate, pdUp = dUp)
        {
            var work = new Work
            {
                Gate = pGate, Up = pUp, Y = py, DGate = pdGate, DUp = pdUp, Count = gate.Length, Alpha = alpha, Limit = limit,
                Accumulate = accumulate, AccumulateUp = accumulateUp, IsBackward = true,
            };
            work.Parts = Simd.Parts(work.Count, 6);
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work : IVectorWork
    {
        public float* Gate, Up, Y, DGate, DUp;
        public int Count, Parts;
        public float Alpha, Limit;
        public bool Accumulate, AccumulateUp, IsBackward;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            // Parts start at whole vectors, so that an element is computed alike however many parts there are.
            var (start, end) = Simd.Share((Count + 15) / 16, Parts, part);
            Elements<V>(this, start * 16, Math.Min(end * 16, Count));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static void Elements<V>(Work work, int i, int to) where V : struct, ILanes<V>
        {
            for (; i <= to - V.Count; i += V.Count) At<V>(work, i);
            for (; i < to; i++) At<Lanes1>(work, i);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void At<V>(in Work work, int i) where V : struct, ILanes<V>
        {
            var (gate, up) = (V.Load(work.Gate + i), V.Load(work.Up + i));
            var (limit, one) = (V.All(work.Limit), V.All(1));
            var (kept, keptUp) = (V.Clamp(gate, V.All(float.NegativeInfinity), limit), V.Clamp(up, V.Zero - limit, limit));
            var sigmoid = Exponential.Sigmoid(kept * V.All(work.Alpha));
            var value = kept * sigmoid;
            if (!work.IsBackward)
            {
                (value * (keptUp + one)).Store(work.Y + i);
                return;
            }

            var dy = V.Load(work.Y + i);
            var slope = sigmoid + (V.All(work.Alpha) * value * (one - sigmoid));
            var dGate = slope * (keptUp + one) * dy * Within(gate, kept);
            if (work.DUp is not null) Put(work.DUp + i, value * dy * Within(up, keptUp), work.AccumulateUp);
            if (work.DGate is not null) Put(work.DGate + i, dGate, work.Accumulate);
        }

        /// <summary>1 where a value is as it was before it was clamped, else 0.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static V Within<V>(V value, V kept) where V : struct, ILanes<V> => V.All(1) - V.Abs(V.Sign(value - kept));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Put<V>(float* to, V value, bool accumulate) where V : struct, ILanes<V> =>
            (accumulate ? V.Load(to) + value : value).Store(to);
    }
}
