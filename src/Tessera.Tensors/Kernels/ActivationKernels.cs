namespace Tessera.Tensors.Kernels;

/// <summary>Element-wise activations, plain and gated, forward and backward.</summary>
internal static unsafe class ActivationKernels
{
    /// <summary>What a kernel does with a, b and c.</summary>
    public enum Pass
    {
        /// <summary>c = f(a).</summary>
        Forward,

        /// <summary>c (+)= f′(a) b.</summary>
        Backward,

        /// <summary>c = f(a) b.</summary>
        Gated,

        /// <summary>c (+)= f′(a) b d: the gradient of the gate, d the gradient that comes in.</summary>
        GateBackward,

        /// <summary>c (+)= f(a) d: the gradient of what is gated.</summary>
        UpBackward,
    }

    public static void Run(
        Activation activation, Pass pass, ReadOnlySpan<float> a, ReadOnlySpan<float> b, ReadOnlySpan<float> d, Span<float> c, bool accumulate)
    {
        switch (activation)
        {
            case Activation.Silu: Run<Silu>(pass, a, b, d, c, accumulate); break;
            case Activation.Sigmoid: Run<Sigmoid>(pass, a, b, d, c, accumulate); break;
            case Activation.Tanh: Run<Tanh>(pass, a, b, d, c, accumulate); break;
            case Activation.Relu: Run<Relu>(pass, a, b, d, c, accumulate); break;
            case Activation.ReluSquared: Run<ReluSquared>(pass, a, b, d, c, accumulate); break;
            case Activation.Gelu: Run<Gelu>(pass, a, b, d, c, accumulate); break;
            case Activation.GeluTanh: Run<GeluTanh>(pass, a, b, d, c, accumulate); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, "not an activation");
        }
    }

    private static void Run<TActivation>(
        Pass pass, ReadOnlySpan<float> a, ReadOnlySpan<float> b, ReadOnlySpan<float> d, Span<float> c, bool accumulate)
        where TActivation : IActivation
    {
        fixed (float* pa = a, pb = b, pd = d, pc = c)
        {
            var work = new Work<TActivation>
            {
                A = pa, B = pb, C = pc, D = pd, Count = c.Length, Pass = pass, Accumulate = accumulate, Parts = Simd.Parts(c.Length, 4),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    private struct Work<TActivation> : IVectorWork where TActivation : IActivation
    {
        public float* A, B, C, D;
        public int Count, Parts;
        public Pass Pass;
        public bool Accumulate;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            // Parts start at whole vectors, so that an element is computed alike however many parts there are.
            var (start, end) = Simd.Share((Count + 15) / 16, Parts, part);
            var (from, to) = (start * 16, Math.Min(end * 16, Count));
            var whole = from + ((to - from) / V.Count * V.Count);
            for (var i = from; i < whole; i += V.Count) One<V>(i);
            for (var i = whole; i < to; i++) One<Lanes1>(i);
        }

        private readonly void One<V>(int i) where V : struct, ILanes<V>
        {
            var (value, derivative) = TActivation.Of(V.Load(A + i));
            var result = Pass switch
            {
                Pass.Forward => value,
                Pass.Backward => derivative * V.Load(B + i),
                Pass.Gated => value * V.Load(B + i),
                Pass.GateBackward => derivative * V.Load(B + i) * V.Load(D + i),
                _ => value * V.Load(D + i),
            };
            (Accumulate ? result + V.Load(C + i) : result).Store(C + i);
        }
    }
}
