using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>Element-wise activations, plain and gated, forward and backward.</summary>
internal static unsafe partial class ActivationKernels
{
    /// <summary>y = f(x), or y = f(x) up where <paramref name="up"/> is not empty.</summary>
    public static void Forward(Activation activation, ReadOnlySpan<float> x, ReadOnlySpan<float> up, Span<float> y)
    {
        fixed (float* px = x, pUp = up, py = y)
        {
            var work = new Work { X = px, Up = pUp, Y = py, Count = x.Length };
            Run<Forwards>(activation, ref work);
        }
    }

    /// <summary>The gradients of x and up, of which there may be only one; either may lie where <paramref name="dy"/> does.</summary>
    /// <param name="activation">f.</param>
    /// <param name="x">What the activation was applied to.</param>
    /// <param name="up">What it was multiplied by; empty where it was not.</param>
    /// <param name="dy">The gradient that comes in.</param>
    /// <param name="dx">f′(x) up dy, or empty.</param>
    /// <param name="accumulate">Whether to add to what dx holds.</param>
    /// <param name="dUp">f(x) dy, or empty; written before <paramref name="dx"/>.</param>
    /// <param name="accumulateUp">Whether to add to what dUp holds.</param>
    public static void Backward(
        Activation activation, ReadOnlySpan<float> x, ReadOnlySpan<float> up, ReadOnlySpan<float> dy,
        Span<float> dx, bool accumulate, Span<float> dUp = default, bool accumulateUp = false)
    {
        fixed (float* px = x, pUp = up, py = dy, pdx = dx, pdUp = dUp)
        {
            var work = new Work
            {
                X = px, Up = pUp, Y = py, Dx = pdx, DUp = pdUp, Count = x.Length, Accumulate = accumulate, AccumulateUp = accumulateUp,
            };
            Run<Backwards>(activation, ref work);
        }
    }

    private static void Run<TPass>(Activation activation, ref Work work) where TPass : IPass
    {
        work.Parts = Simd.Parts(work.Count, 4);
        switch (activation)
        {
            case Activation.Silu: Run<TPass, Silu>(work); break;
            case Activation.Sigmoid: Run<TPass, Sigmoid>(work); break;
            case Activation.Tanh: Run<TPass, Tanh>(work); break;
            case Activation.Relu: Run<TPass, Relu>(work); break;
            case Activation.ReluSquared: Run<TPass, ReluSquared>(work); break;
            case Activation.Gelu: Run<TPass, Gelu>(work); break;
            case Activation.GeluTanh: Run<TPass, GeluTanh>(work); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, "not an activation");
        }
    }

    private static void Run<TPass, TActivation>(in Work work) where TPass : IPass where TActivation : IActivation
    {
        var whole = new Whole<TPass, TActivation> { Work = work };
        Simd.Run(ref whole, work.Parts);
    }

    private interface IPass
    {
        static abstract void At<V, TActivation>(in Work work, int i) where V : struct, ILanes<V> where TActivation : IActivation;
    }

    private struct Work
    {
        public float* X, Up, Y, Dx, DUp;
        public int Count, Parts;
        public bool Accumulate, AccumulateUp;
    }

    private readonly struct Forwards : IPass
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<V, TActivation>(in Work work, int i) where V : struct, ILanes<V> where TActivation : IActivation
        {
            var value = TActivation.Of(V.Load(work.X + i)).Value;
            (work.Up is null ? value : value * V.Load(work.Up + i)).Store(work.Y + i);
        }
    }

    private readonly struct Backwards : IPass
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<V, TActivation>(in Work work, int i) where V : struct, ILanes<V> where TActivation : IActivation
        {
            var (value, derivative) = TActivation.Of(V.Load(work.X + i));
            var dy = V.Load(work.Y + i);
            var dx = work.Up is null ? derivative * dy : derivative * V.Load(work.Up + i) * dy;
            if (work.DUp is not null) Put(work.DUp + i, value * dy, work.AccumulateUp);
            if (work.Dx is not null) Put(work.Dx + i, dx, work.Accumulate);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Put<V>(float* to, V value, bool accumulate) where V : struct, ILanes<V> =>
            (accumulate ? V.Load(to) + value : value).Store(to);
    }

    private struct Whole<TPass, TActivation> : IVectorWork where TPass : IPass where TActivation : IActivation
    {
        public Work Work;

        public readonly void Run<V>(int part) where V : struct, ILanes<V>
        {
            // Parts start at whole vectors, so that an element is computed alike however many parts there are.
            var (start, end) = Simd.Share((Work.Count + 15) / 16, Work.Parts, part);
            Elements<V>(Work, start * 16, Math.Min(end * 16, Work.Count));
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        public static void Elements<V>(Work work, int i, int to) where V : struct, ILanes<V>
        {
            for (; i <= to - V.Count; i += V.Count) TPass.At<V, TActivation>(work, i);
            for (; i < to; i++) TPass.At<Lanes1, TActivation>(work, i);
        }
    }
}
