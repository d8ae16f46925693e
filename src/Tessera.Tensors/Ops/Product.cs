using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary><c>y = x W</c> over the innermost axis: as <see cref="Linear(Tensor, Tensor, Tensor?)"/>, with a matrix whose rows are
    /// inputs.</summary>
    /// <param name="x">[…, inputs].</param>
    /// <param name="weight">F32 [inputs, outputs].</param>
    /// <returns>[…, outputs].</returns>
    public static Tensor Product(Tensor x, Tensor weight)
    {
        ShapeException.Require(weight.Shape.Rank == 2 && weight.Shape[0] == x.Shape.Width, "product", "weight", weight, "x", x);
        var y = Tensor.Temporary(x.Shape.WithWidth(weight.Shape[1]));
        var kind = MatrixProductKinds.Choose(x.Shape.Rows, y.Shape.Width, x.Shape.Width, packed: false);
        MatrixProduct.Multiply(x.AsMatrix(), weight.AsMatrix(), y.Floats, accumulate: false, kind: kind);
        if (Tape.Write<ProductEntry>(y, x, weight) is { } entry) (entry.X, entry.Weight, entry.Kind) = (x, weight, kind);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return y;
    }

    /// <summary><c>y += x W</c>, in place and without a gradient: of one matrix, or of each of several.</summary>
    /// <param name="y">F32 [rows, outputs] or [groups, rows, outputs]; is changed.</param>
    /// <param name="x">F32 [rows, inputs] or [groups, rows, inputs].</param>
    /// <param name="weight">F32 [inputs, outputs] or [groups, inputs, outputs].</param>
    /// <exception cref="InvalidOperationException">A tape is recorded that wants a gradient of one of them.</exception>
    public static void AddProduct(Tensor y, Tensor x, Tensor weight)
    {
        var rank = y.Shape.Rank;
        ShapeException.Require(rank is 2 or 3, "add product", "y", y, "[rows, outputs] or [groups, rows, outputs]");
        var (groups, rows, outputs, inputs) = (rank == 3 ? y.Shape[0] : 1, y.Shape[rank - 2], y.Shape[rank - 1], x.Shape.Width);
        ShapeException.Require(x.Shape.Rank == rank && x.Shape == y.Shape.WithWidth(inputs), "add product", "x", x, "y", y);
        var fitting = rank == 3 ? new Shape(groups, inputs, outputs) : new Shape(inputs, outputs);
        ShapeException.Require(weight.Shape == fitting, "add product", "weight", weight, "x", x);
        if (Tape.Wants(y, x, weight))
            throw new InvalidOperationException("add product has no gradient; it is for weights, outside a recorded tape");
        for (var group = 0; group < groups; group++)
        {
            var left = new Matrix(x.Floats.Slice(group * rows * inputs, rows * inputs), rows, inputs);
            var right = new Matrix(weight.Floats.Slice(group * inputs * outputs, inputs * outputs), inputs, outputs);
            MatrixProduct.Multiply(left, right, y.Floats.Slice(group * rows * outputs, rows * outputs), accumulate: true);
        }

        GC.KeepAlive(y);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
    }

    private sealed class ProductEntry : TapeEntry
    {
        public Tensor X = null!, Weight = null!;
        public MatrixProductKind Kind;

        public override void Backward()
        {
            var dy = Matrix.Of(OutputGradient, Output.Shape);
            if (X.Slot is { } x) MatrixProduct.Multiply(dy, Weight.AsMatrix().T, x.Write(out var accumulate), accumulate, kind: Kind);
            if (Weight.Slot is { } weight)
                MatrixProduct.Multiply(X.AsMatrix().T, dy, weight.Write(out var accumulate), accumulate, kind: Kind);
        }
    }
}
