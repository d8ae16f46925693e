using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>Activations as epilogues of the products whose results they take, while those are in the cache.</summary>
internal static unsafe partial class ActivationKernels
{
    /// <summary>The hidden layer that a feed-forward's epilogues work on, rows × width each.</summary>
    public struct HiddenLayer
    {
        /// <summary>What the activation is applied to, and what multiplies it; null where nothing does.</summary>
        public float* X, Up;

        /// <summary><c>f(x) up</c>.</summary>
        public float* Hidden;

        public int Width;
    }

    /// <summary>Writes <c>hidden = f(x) up</c> as the product that computes the last of x and up goes on.</summary>
    public static MatrixProductEpilogue ForwardEpilogue(Activation activation, HiddenLayer* layer) => Of<Forwards>(activation, layer);

    /// <summary>As the product goes on that writes the gradient of the hidden layer to <see cref="HiddenLayer.Hidden"/>: puts the gradients
    /// of x and up in the place of both, and the hidden layer, computed again, in the place of its gradient.</summary>
    public static MatrixProductEpilogue BackwardEpilogue(Activation activation, HiddenLayer* layer) => Of<InPlace>(activation, layer);

    private static MatrixProductEpilogue Of<TPass>(Activation activation, HiddenLayer* layer) where TPass : IPass => activation switch
    {
        Activation.Silu => Of<TPass, Silu>(layer),
        Activation.Sigmoid => Of<TPass, Sigmoid>(layer),
        Activation.Tanh => Of<TPass, Tanh>(layer),
        Activation.Relu => Of<TPass, Relu>(layer),
        Activation.ReluSquared => Of<TPass, ReluSquared>(layer),
        Activation.Gelu => Of<TPass, Gelu>(layer),
        Activation.GeluTanh => Of<TPass, GeluTanh>(layer),
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, "not an activation"),
    };

    private static MatrixProductEpilogue Of<TPass, TActivation>(HiddenLayer* layer)
        where TPass : IPass
        where TActivation : IActivation => Simd.Level switch
        {
            >= KernelLevel.Vector512 => new(&Rows<TPass, TActivation, Lanes512>, layer),
            KernelLevel.Vector256 => new(&Rows<TPass, TActivation, Lanes256>, layer),
            KernelLevel.Vector128 => new(&Rows<TPass, TActivation, Lanes128>, layer),
            _ => new(&Rows<TPass, TActivation, Lanes1>, layer),
        };

    private static void Rows<TPass, TActivation, V>(void* state, int top, int bottom, int left, int right)
        where TPass : IPass
        where TActivation : IActivation
        where V : struct, ILanes<V>
    {
        var layer = *(HiddenLayer*)state;
        for (var row = top; row < bottom; row++)
        {
            var at = ((long)row * layer.Width) + left;
            var work = new Work
            {
                X = layer.X + at,
                Up = layer.Up == null ? null : layer.Up + at,
                Y = layer.Hidden + at,
            };
            Whole<TPass, TActivation>.Elements<V>(work, 0, right - left);
        }
    }

    private readonly struct InPlace : IPass
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<V, TActivation>(in Work work, int i) where V : struct, ILanes<V> where TActivation : IActivation
        {
            var (value, derivative) = TActivation.Of(V.Load(work.X + i));
            var dy = V.Load(work.Y + i);
            if (work.Up is null)
            {
                value.Store(work.Y + i);
                (derivative * dy).Store(work.X + i);
                return;
            }

            var up = V.Load(work.Up + i);
            (value * up).Store(work.Y + i);
            (value * dy).Store(work.Up + i);
            (derivative * up * dy).Store(work.X + i);
        }
    }
}
