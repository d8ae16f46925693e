using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// Operations on tensors. Each states its shapes, throws <see cref="ShapeException"/> where they do not fit, returns a
/// temporary of the current <see cref="Arena"/>, and writes its gradient to the <see cref="Tape"/> being recorded.
/// One file an operation, its forward beside its backward.
/// </summary>
public static partial class Op
{
    /// <summary><c>y = x Wᵀ + b</c> over the innermost axis.</summary>
    /// <param name="x">[…, inputs].</param>
    /// <param name="weight">[outputs, inputs], as PyTorch lays it out.</param>
    /// <param name="bias">[outputs], or none.</param>
    /// <returns>[…, outputs].</returns>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null)
    {
        ShapeException.Require(weight.Shape.Rank == 2 && weight.Shape[1] == x.Shape.Width, "linear", "weight", weight, "x", x);
        if (bias is not null)
            ShapeException.Require(bias.Shape == [weight.Shape[0]], "linear", "bias", bias, "weight", weight);

        var y = Tensor.Temporary(x.Shape.WithWidth(weight.Shape[0]));
        var added = bias is null ? default : bias.Floats;
        var entry = Tape.Write<LinearEntry>(y, x, weight, bias);
        var kind = MatrixProductKinds.Choose(x.Shape.Rows, y.Shape.Width, x.Shape.Width, packed: entry is not null && weight.IsParameter);
        var packed = entry is null ? default : PackedParameter.Of(weight, transposed: true, kind);
        MatrixProduct.Multiply(x.AsMatrix(), weight.AsMatrix().T, y.Floats, accumulate: false, bias: added, kind: kind, packed: packed);

        if (entry is not null) (entry.X, entry.Weight, entry.Bias, entry.Kind) = (x, weight, bias, kind);
        return y;
    }

    /// <summary>All axes but the innermost taken as rows.</summary>
    internal static Matrix AsMatrix(this Tensor tensor) => Matrix.Of(tensor.Floats, tensor.Shape);

    private sealed class LinearEntry : TapeEntry
    {
        public Tensor X = null!, Weight = null!;
        public Tensor? Bias;
        public MatrixProductKind Kind;

        public override void Backward()
        {
            var dy = Matrix.Of(OutputGradient, Output.Shape);
            if (X.Slot is { } x)
            {
                var packed = PackedParameter.Of(Weight, transposed: false, Kind);
                MatrixProduct.Multiply(dy, Weight.AsMatrix(), x.Write(out var accumulate), accumulate, kind: Kind, packed: packed);
            }

            if (Weight.Slot is { } weight)
                MatrixProduct.Multiply(dy.T, X.AsMatrix(), weight.Write(out var accumulate), accumulate, kind: Kind);
            if (Bias?.Slot is { } bias) RowKernels.SumRows(OutputGradient, bias.Add());
        }
    }
}
