using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// A matrix for each head, some rows of a larger one: <c>y_h = x_h W_h</c>, or <c>y_h = x_h W_hᵀ</c> where transposed. What
    /// decoding with absorbed projections needs; it has no gradient.
    /// </summary>
    /// <param name="x">[…, heads, count], or […, heads, inputs] where transposed.</param>
    /// <param name="weight">[heads · rows, inputs]: head h has the rows from <c>h · rows</c> on. Of any type but I32; a stored one
    /// is widened a head at a time, and x is not rounded.</param>
    /// <param name="first">The first of the rows of each head that are used.</param>
    /// <param name="count">How many of them.</param>
    /// <param name="transposed">Whether rows of the matrix are outputs.</param>
    /// <returns>[…, heads, inputs], or […, heads, count] where transposed.</returns>
    /// <exception cref="InvalidOperationException">A tape is recorded that wants a gradient of x or the weight.</exception>
    public static Tensor HeadLinear(Tensor x, Tensor weight, int first, int count, bool transposed)
    {
        var heads = x.Shape.Rank >= 2 ? x.Shape[x.Shape.Rank - 2] : 0;
        ShapeException.Require(heads > 0, "head linear", "x", x, "[…, heads, width]");
        var rows = weight.Shape.Rank == 2 ? weight.Shape[0] / heads : 0;
        ShapeException.Require(
            weight.Shape.Rank == 2 && weight.Shape[0] % heads == 0 && first >= 0 && count >= 0 && first <= rows - count,
            "head linear", "weight", weight, $"[{heads} heads of at least {(long)first + count} rows, inputs]");
        var inputs = weight.Shape[1];
        ShapeException.Require(x.Shape.Width == (transposed ? inputs : count), "head linear", "x", x, "weight", weight);
        if (Tape.Wants(x, weight))
            throw new InvalidOperationException("head linear has no gradient; it is for decoding, outside a recorded tape");

        var (width, outputs) = (x.Shape.Width, transposed ? count : inputs);
        var y = Tensor.Temporary(x.Shape.WithWidth(outputs));
        var tokens = x.Shape.Rows / heads;
        if (tokens == 0 || outputs == 0) return y;
        for (var head = 0; head < heads; head++)
        {
            var a = new Matrix(x.Floats[(head * width)..], tokens, width, heads * width);
            var to = y.Floats[(head * outputs)..];
            var start = (head * rows) + first;
            if (weight.Type == ElementType.F32)
            {
                var w = new Matrix(weight.Floats[(start * inputs)..], count, inputs);
                MatrixProduct.Multiply(a, transposed ? w.T : w, to, accumulate: false, rowStride: heads * outputs);
            }
            else
            {
                var w = weight.AsStoredMatrix("head linear").Part(start, count);
                if (transposed) StoredProduct.MultiplyWidened(a, w, to, heads * outputs);
                else StoredProduct.MultiplyBack(a, w, to, accumulate: false, MatrixProductKind.F32, heads * outputs);
            }
        }

        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return y;
    }
}
