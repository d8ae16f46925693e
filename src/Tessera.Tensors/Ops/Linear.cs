using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// Operations on tensors. Each states its shapes, throws <see cref="ShapeException"/> where they do not fit, returns a
/// temporary of the current <see cref="Arena"/>, and writes its gradient to the <see cref="Tape"/> being recorded.
/// One file an operation, its forward beside its backward.
/// </summary>
public static partial class Op
{
    /// <summary><c>y = x Wᵀ + b</c> over the innermost axis. A weight that is stored as F16 or BF16 is widened, and the product
    /// is F32's, or that of the current <see cref="Autocast"/> scope where it gains from it. With a quantized weight, x is rounded to 8
    /// bits with a scale for each 32 elements, whatever the scope, and a row that holds NaN or an infinity gives NaN in all its
    /// outputs.</summary>
    /// <param name="x">[…, inputs].</param>
    /// <param name="weight">[outputs, inputs], as PyTorch lays it out; of any type but I32. Only an F32 weight can have a
    /// gradient; x gets <c>dx = dy W</c> of what a stored weight stands for.</param>
    /// <param name="bias">[outputs], or none.</param>
    /// <returns>[…, outputs].</returns>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null)
    {
        using var alone = Activations.Of(x);
        return Linear(alone, weight, bias);
    }

    /// <summary>As <see cref="Linear(Tensor, Tensor, Tensor?)"/>, of an x that several weights multiply: what it is rounded to for one
    /// of them serves the others.</summary>
    /// <param name="activations">[…, inputs].</param>
    /// <param name="weight">[outputs, inputs].</param>
    /// <param name="bias">[outputs], or none.</param>
    /// <returns>[…, outputs].</returns>
    public static Tensor Linear(Activations activations, Tensor weight, Tensor? bias = null)
    {
        var x = activations.Tensor;
        ShapeException.Require(weight.Shape.Rank == 2 && weight.Shape[1] == x.Shape.Width, "linear", "weight", weight, "x", x);
        if (bias is not null)
            ShapeException.Require(bias.Shape == [weight.Shape[0]], "linear", "bias", bias, "weight", weight);

        var y = Tensor.Temporary(x.Shape.WithWidth(weight.Shape[0]));
        var added = bias is null ? default : bias.Floats;
        var entry = Tape.Write<LinearEntry>(y, x, weight, bias);
        var isReady = weight.Type == ElementType.BF16 || (entry is not null && weight.IsParameter);
        var kind = MatrixProductKinds.Choose(x.Shape.Rows, y.Shape.Width, x.Shape.Width, isReady);
        if (weight.Type == ElementType.F32)
        {
            var packed = entry is null ? default : PackedParameter.Of(weight, transposed: true, kind);
            MatrixProduct.Multiply(
                x.AsMatrix(), weight.AsMatrix().T, y.Floats, accumulate: false, bias: added, kind: kind, packed: packed, joins: true);
        }
        else
        {
            StoredProduct.Multiply(activations, weight.AsStoredMatrix("linear"), y.Floats, added, kind, joins: true);
        }

        if (entry is not null) (entry.X, entry.Weight, entry.Bias, entry.Kind) = (x, weight, bias, kind);
        GC.KeepAlive(activations);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        GC.KeepAlive(bias);
        return y;
    }

    /// <summary>All axes but the innermost taken as rows.</summary>
    internal static Matrix AsMatrix(this Tensor tensor) => Matrix.Of(tensor.Floats, tensor.Shape);

    /// <summary>All axes but the innermost taken as rows.</summary>
    internal static StoredMatrix AsStoredMatrix(this Tensor weight, string operation)
    {
        ShapeException.Require(weight.Type.IsReal(), operation, "weight", weight, "a type of real numbers");
        return new StoredMatrix(weight.Type, weight.Bytes, weight.Shape.Rows, weight.Shape.Width);
    }

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
                var dx = x.Write(out var accumulate);
                if (Weight.Type == ElementType.F32)
                    MatrixProduct.Multiply(
                        dy, Weight.AsMatrix(), dx, accumulate, kind: Kind, packed: PackedParameter.Of(Weight, transposed: false, Kind));
                else
                    StoredProduct.MultiplyBack(dy, Weight.AsStoredMatrix("linear"), dx, accumulate, Kind);
            }

            if (Weight.Slot is { } weight)
                MatrixProduct.Multiply(dy.T, X.AsMatrix(), weight.Write(out var accumulate), accumulate, kind: Kind);
            if (Bias?.Slot is { } bias) RowKernels.SumRows(OutputGradient, bias.Add());
        }
    }
}
