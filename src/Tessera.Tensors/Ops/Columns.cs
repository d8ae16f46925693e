using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Some of the elements of the innermost axis: <c>y[…, i] = x[…, first + i]</c>.</summary>
    /// <param name="x">[…, width].</param>
    /// <param name="first">The first of them.</param>
    /// <param name="count">How many.</param>
    /// <returns>[…, count].</returns>
    public static Tensor Columns(Tensor x, int first, int count)
    {
        ShapeException.Require(
            x.Shape.Rank >= 1 && first >= 0 && count >= 0 && first <= x.Shape.Width - count, "columns", "x", x,
            $"[…, at least {(long)first + count}]");
        var y = Tensor.Temporary(x.Shape.WithWidth(count));
        ColumnKernels.Spread(x.AsMatrix(), first, y.Floats, count, 0, count, repeat: 1, accumulate: false);
        if (Tape.Write<ColumnsEntry>(y, x) is { } entry) (entry.X, entry.First) = (x, first);
        GC.KeepAlive(x);
        return y;
    }

    /// <summary>Two tensors side by side along the innermost axis; the second may have 1 where the first has several on the
    /// axis before it, and is then repeated: a key part that all heads share.</summary>
    /// <param name="left">[…, n, a].</param>
    /// <param name="right">[…, n, b] or […, 1, b].</param>
    /// <returns>[…, n, a + b].</returns>
    public static Tensor Join(Tensor left, Tensor right)
    {
        var repeat = Repeats(left.Shape, right.Shape);
        ShapeException.Require(repeat > 0, "join", "right", right, "left", left);
        var (a, b) = (left.Shape.Width, right.Shape.Width);
        var y = Tensor.Temporary(left.Shape.WithWidth(checked(a + b)));
        ColumnKernels.Spread(left.AsMatrix(), 0, y.Floats, a + b, 0, a, repeat: 1, accumulate: false);
        ColumnKernels.Spread(right.AsMatrix(), 0, y.Floats, a + b, a, b, repeat, accumulate: false);
        if (Tape.Write<JoinEntry>(y, left, right) is { } entry) (entry.Left, entry.Right, entry.Repeat) = (left, right, repeat);
        GC.KeepAlive(left);
        GC.KeepAlive(right);
        return y;
    }

    /// <summary>How often rows of the second shape stand beside rows of the first; 0 where the shapes do not fit.</summary>
    private static int Repeats(Shape left, Shape right)
    {
        if (left.Rank < 1 || left.Rank != right.Rank) return 0;
        for (var axis = 0; axis < left.Rank - 2; axis++)
            if (left[axis] != right[axis]) return 0;
        if (left.Rank == 1 || left[left.Rank - 2] == right[left.Rank - 2]) return 1;
        return right[left.Rank - 2] == 1 ? left[left.Rank - 2] : 0;
    }

    private sealed class ColumnsEntry : TapeEntry
    {
        public Tensor X = null!;
        public int First;

        public override void Backward()
        {
            var dy = Matrix.Of(OutputGradient, Output.Shape);
            ColumnKernels.Spread(dy, 0, X.Slot!.Add(), X.Shape.Width, First, dy.Columns, repeat: 1, accumulate: true);
        }
    }

    private sealed class JoinEntry : TapeEntry
    {
        public Tensor Left = null!, Right = null!;
        public int Repeat;

        public override void Backward()
        {
            var dy = Matrix.Of(OutputGradient, Output.Shape);
            var (a, b) = (Left.Shape.Width, Right.Shape.Width);
            if (Left.Slot is { } left) ColumnKernels.Spread(dy, 0, left.Write(out var adds), a, 0, a, repeat: 1, adds);
            if (Right.Slot is { } right) ColumnKernels.Collect(dy, a, right.Write(out var adds), b, 0, b, Repeat, adds);
        }
    }
}
