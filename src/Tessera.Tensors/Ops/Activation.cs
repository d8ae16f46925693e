using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>A non-linearity applied to each element.</summary>
public enum Activation
{
    /// <summary>x σ(x), also called swish.</summary>
    Silu,

    /// <summary>x Φ(x), exact.</summary>
    Gelu,

    /// <summary>GELU's tanh approximation.</summary>
    GeluTanh,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>max(x, 0)².</summary>
    ReluSquared,

    /// <summary>1 / (1 + e⁻ˣ).</summary>
    Sigmoid,

    /// <summary>Hyperbolic tangent.</summary>
    Tanh,
}

public static partial class Op
{
    /// <summary>Applies an activation to each element.</summary>
    public static Tensor Activate(Tensor x, Activation activation)
    {
        var y = Tensor.Temporary(x.Shape);
        ActivationKernels.Forward(activation, x.Floats, default, y.Floats);
        if (Tape.Write<ActivateEntry>(y, x) is { } entry) (entry.X, entry.Activation) = (x, activation);
        GC.KeepAlive(x);
        return y;
    }

    /// <summary><c>activation(gate) · up</c>, the hidden layer of SwiGLU, GeGLU and ReGLU (Shazeer 2020, arXiv 2002.05202).</summary>
    /// <param name="gate">[…, hidden].</param>
    /// <param name="up">The same shape.</param>
    /// <param name="activation">Applied to the gate.</param>
    public static Tensor Gate(Tensor gate, Tensor up, Activation activation)
    {
        ShapeException.Require(gate.Shape == up.Shape, "gate", "up", up, "gate", gate);
        var y = Tensor.Temporary(gate.Shape);
        ActivationKernels.Forward(activation, gate.Floats, up.Floats, y.Floats);
        if (Tape.Write<GateEntry>(y, gate, up) is { } entry) (entry.Gate, entry.Up, entry.Activation) = (gate, up, activation);
        GC.KeepAlive(gate);
        GC.KeepAlive(up);
        return y;
    }

    private sealed class ActivateEntry : TapeEntry
    {
        public Tensor X = null!;
        public Activation Activation;

        public override void Backward()
        {
            var dy = OutputGradient;
            var dx = X.Slot!.WriteOver(Output.Slot!, out var accumulate);
            ActivationKernels.Backward(Activation, X.Floats, default, dy, dx, accumulate);
        }
    }

    private sealed class GateEntry : TapeEntry
    {
        public Tensor Gate = null!, Up = null!;
        public Activation Activation;

        public override void Backward()
        {
            var dy = OutputGradient;
            var (accumulate, accumulateUp) = (false, false);
            var dUp = Up.Slot is { } up ? up.WriteOver(Output.Slot!, out accumulateUp) : default;
            var dGate = Gate.Slot is { } gate ? gate.Write(out accumulate) : default;
            ActivationKernels.Backward(Activation, Gate.Floats, Up.Floats, dy, dGate, accumulate, dUp, accumulateUp);
        }
    }
}
