using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// <c>y = (f(x G) · (x U)) D</c>, or <c>f(x U) D</c> without a gate: as <see cref="Linear(Tensor, Tensor, Tensor?)"/>,
    /// <see cref="Gate"/> or <see cref="Activate"/>, and Linear, with the activation at the end of the products, forward and backward. The
    /// hidden layer is not kept for the way back but computed again there.
    /// <para>Shazeer 2020, <see href="https://arxiv.org/abs/2002.05202"/>; Vaswani et al. 2017, section 3.3.</para>
    /// </summary>
    /// <param name="x">[…, width].</param>
    /// <param name="gate">[hidden, width], or none.</param>
    /// <param name="up">[hidden, width].</param>
    /// <param name="down">[outputs, hidden].</param>
    /// <param name="activation">f.</param>
    /// <returns>[…, outputs].</returns>
    /// <exception cref="ShapeException">Shapes do not fit, or a tensor is not F32.</exception>
    public static unsafe Tensor FeedForward(
        Tensor x, LinearMap? gate, LinearMap up, LinearMap down, Activation activation)
    {
        var hiddenSize = up.Weight.Shape[0];
        gate?.Check("feed-forward", "gate", x.Shape.Width, hiddenSize);
        up.Check("feed-forward", "up", x.Shape.Width, hiddenSize);
        down.Check("feed-forward", "down", hiddenSize, down.Weight.Shape[0]);
        var y = Tensor.Temporary(x.Shape.WithWidth(down.Weight.Shape[0]));
        var entry = Tape.Write<FeedForwardEntry>(y, x, gate?.Weight, gate?.Bias, up.Weight, up.Bias, down.Weight, down.Bias);
        var rows = x.Shape.Rows;
        var kind = up.KindFor(rows, isReady: entry is not null && up.Weight.IsParameter && gate is not { Weight.IsParameter: false });
        var downKind = down.KindFor(rows, isReady: entry is not null && down.Weight.IsParameter);
        var wide = x.Shape.WithWidth(hiddenSize);
        var (gated, raised, hidden) = (gate is null ? null : Tensor.Temporary(wide), Tensor.Temporary(wide), Tensor.Temporary(wide));
        var layer = FeedForwardEntry.LayerOf(gated, raised, hidden);
        gate?.Multiply(x, gated!, kind);
        up.Multiply(x, raised, kind, ActivationKernels.ForwardEpilogue(activation, &layer));
        down.Multiply(hidden, y, downKind);
        FeedForwardEntry.GiveBack(hidden);
        entry?.Set(x, gated, raised, (gate, up, down), activation, (kind, downKind));
        return y;
    }

    private sealed unsafe class FeedForwardEntry : TapeEntry
    {
        private Tensor _x = null!, _up = null!;
        private Tensor? _gate;
        private (LinearMap? Gate, LinearMap Up, LinearMap Down) _maps;
        private Activation _activation;
        private (MatrixProductKind Up, MatrixProductKind Down) _kinds;

        public void Set(
            Tensor x, Tensor? gate, Tensor up, (LinearMap? Gate, LinearMap Up, LinearMap Down) maps, Activation activation,
            (MatrixProductKind Up, MatrixProductKind Down) kinds) =>
            (_x, _gate, _up, _maps, _activation, _kinds) = (x, gate, up, maps, activation, kinds);

        public static ActivationKernels.HiddenLayer LayerOf(Tensor? gate, Tensor up, Tensor hidden) => new()
        {
            X = Address(gate ?? up), Up = gate is null ? null : Address(up), Hidden = Address(hidden), Width = up.Shape.Width,
        };

        /// <summary>Ends a temporary's use of its memory before its scope does.</summary>
        public static void GiveBack(Tensor hidden)
        {
            if (hidden.Shape.Count > 0) Arena.Current.Return((nint)Address(hidden), hidden.Bytes.Length);
        }

        public override void Backward()
        {
            var dy = Matrix.Of(OutputGradient, Output.Shape);
            var hidden = Tensor.Temporary(_up.Shape);
            var layer = LayerOf(_gate, _up, hidden);
            // From here on the tensors of gate and up hold their gradients.
            _maps.Down.MultiplyBack(
                dy, hidden.Floats, accumulate: false, _kinds.Down, ActivationKernels.BackwardEpilogue(_activation, &layer));
            _maps.Down.AddGradients(dy, hidden, _kinds.Down);
            GiveBack(hidden);
            if (_x.Slot is { } slot)
            {
                var dx = slot.Write(out var accumulate);
                _maps.Up.MultiplyBack(_up.AsMatrix(), dx, accumulate, _kinds.Up);
                _maps.Gate?.MultiplyBack(_gate!.AsMatrix(), dx, accumulate: true, _kinds.Up);
            }

            _maps.Up.AddGradients(_up.AsMatrix(), _x, _kinds.Up);
            _maps.Gate?.AddGradients(_gate!.AsMatrix(), _x, _kinds.Up);
        }

        private static float* Address(Tensor tensor)
        {
            fixed (float* address = tensor.Floats) return address; // memory of the arena stays where it is
        }
    }
}
