using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary><c>g σ(α g) (u + 1)</c> with <c>g = min(gate, limit)</c> and <c>u = clamp(up, ±limit)</c>: the hidden layer of gpt-oss's
    /// experts (OpenAI 2025, <see href="https://arxiv.org/abs/2508.10925"/>). What is beyond the limit has no gradient.</summary>
    /// <param name="gate">[…, hidden].</param>
    /// <param name="up">The same shape.</param>
    /// <param name="alpha">How steep the sigmoid is; 1.702 makes <c>g σ(α g)</c> an approximation of GELU.</param>
    /// <param name="limit">Above 0.</param>
    public static Tensor ClampedGate(Tensor gate, Tensor up, float alpha, float limit)
    {
        ShapeException.Require(gate.Shape == up.Shape, "clamped gate", "up", up, "gate", gate);
        var y = Tensor.Temporary(gate.Shape);
        ClampedGateKernels.Forward(gate.Floats, up.Floats, alpha, limit, y.Floats);
        if (Tape.Write<ClampedGateEntry>(y, gate, up) is { } entry)
            (entry.Gate, entry.Up, entry.Alpha, entry.Limit) = (gate, up, alpha, limit);
        GC.KeepAlive(gate);
        GC.KeepAlive(up);
        return y;
    }

    private sealed class ClampedGateEntry : TapeEntry
    {
        public Tensor Gate = null!, Up = null!;
        public float Alpha, Limit;

        public override void Backward()
        {
            var dy = OutputGradient;
            var (accumulate, accumulateUp) = (false, false);
            var dUp = Up.Slot is { } up ? up.WriteOver(Output.Slot!, out accumulateUp) : default;
            var dGate = Gate.Slot is { } gate ? gate.Write(out accumulate) : default;
            ClampedGateKernels.Backward(Gate.Floats, Up.Floats, Alpha, Limit, dy, dGate, accumulate, dUp, accumulateUp);
        }
    }
}
