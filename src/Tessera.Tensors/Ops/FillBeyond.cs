using System.Numerics.Tensors;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Rows with a value in place of what stands at or beyond their lengths: scores of padding, which is not to be
    /// chosen.</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="lengths">I32 [rows]: how many columns of each row stay, at most all.</param>
    /// <param name="value">What the others become.</param>
    /// <returns>The shape of <paramref name="x"/>.</returns>
    /// <exception cref="ShapeException">Shapes do not fit, or a row is longer than it can be.</exception>
    public static Tensor FillBeyond(Tensor x, Tensor lengths, float value)
    {
        ShapeException.Require(x.Shape.Rank == 2, "fill beyond", "x", x, "[rows, columns]");
        RequireLengths("fill beyond", lengths, x.Shape[0], x.Shape[1]);
        var (rows, columns) = (x.Shape[0], x.Shape[1]);
        var y = Tensor.Temporary(x.Shape);
        for (var row = 0; row < rows; row++)
        {
            var real = lengths.Ints[row];
            x.Floats.Slice(row * columns, real).CopyTo(y.Floats[(row * columns)..]);
            y.Floats.Slice((row * columns) + real, columns - real).Fill(value);
        }

        if (Tape.Write<FillBeyondEntry>(y, x) is { } entry) (entry.X, entry.Lengths) = (x, lengths);
        GC.KeepAlive(x);
        GC.KeepAlive(lengths);
        return y;
    }

    private sealed class FillBeyondEntry : TapeEntry
    {
        public Tensor X = null!, Lengths = null!;

        public override void Backward()
        {
            var dx = X.Slot!.Add();
            var dy = OutputGradient;
            var columns = X.Shape[1];
            for (var row = 0; row < X.Shape[0]; row++)
            {
                var to = dx.Slice(row * columns, Lengths.Ints[row]);
                TensorPrimitives.Add(to, dy.Slice(row * columns, to.Length), to);
            }
        }
    }
}
