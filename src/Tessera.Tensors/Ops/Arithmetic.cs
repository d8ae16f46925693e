using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary><c>y = left + right</c>, as of a residual connection.</summary>
    /// <param name="left">Any shape.</param>
    /// <param name="right">The same shape.</param>
    public static Tensor Add(Tensor left, Tensor right)
    {
        ShapeException.Require(left.Shape == right.Shape, "add", "right", right, "left", left);
        var y = Tensor.Temporary(left.Shape);
        SumKernel.Add(left.Floats, right.Floats, y.Floats);
        if (Tape.Write<AddEntry>(y, left, right) is { } entry) (entry.Left, entry.Right) = (left, right);
        GC.KeepAlive(left);
        GC.KeepAlive(right);
        return y;
    }

    /// <summary><c>y = x · factor</c>.</summary>
    public static Tensor Scale(Tensor x, float factor)
    {
        var y = Tensor.Temporary(x.Shape);
        SumKernel.Scale(x.Floats, factor, y.Floats);
        if (Tape.Write<ScaleEntry>(y, x) is { } entry) (entry.X, entry.Factor) = (x, factor);
        GC.KeepAlive(x);
        return y;
    }

    /// <summary><c>y = left · right</c>, element by element, as a gate multiplies what it lets through.</summary>
    /// <param name="left">Any shape.</param>
    /// <param name="right">The same shape.</param>
    public static Tensor Multiply(Tensor left, Tensor right)
    {
        ShapeException.Require(left.Shape == right.Shape, "multiply", "right", right, "left", left);
        var y = Tensor.Temporary(left.Shape);
        ProductKernel.Multiply(left.Floats, right.Floats, y.Floats);
        if (Tape.Write<MultiplyEntry>(y, left, right) is { } entry) (entry.Left, entry.Right) = (left, right);
        GC.KeepAlive(left);
        GC.KeepAlive(right);
        return y;
    }

    private sealed class AddEntry : TapeEntry
    {
        public Tensor Left = null!, Right = null!;

        public override void Backward()
        {
            Left.Slot?.Add(Output.Slot!);
            Right.Slot?.Add(Output.Slot!);
        }
    }

    private sealed class ScaleEntry : TapeEntry
    {
        public Tensor X = null!;
        public float Factor;

        public override void Backward()
        {
            var dy = OutputGradient;
            var dx = X.Slot!.WriteOver(Output.Slot!, out var accumulate);
            SumKernel.Scale(dy, Factor, dx, accumulate);
        }
    }

    private sealed class MultiplyEntry : TapeEntry
    {
        public Tensor Left = null!, Right = null!;

        public override void Backward()
        {
            var dy = OutputGradient;
            if (Right.Slot is { } right) ProductKernel.Multiply(dy, Left.Floats, right.Write(out var adds), adds);
            if (Left.Slot is { } left) ProductKernel.Multiply(dy, Right.Floats, left.WriteOver(Output.Slot!, out var adds), adds);
        }
    }
}
