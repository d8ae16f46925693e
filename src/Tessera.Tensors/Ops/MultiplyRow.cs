using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Multiplies all rows by one: <c>y[…, i] = x[…, i] · row[i]</c>, as the weights of a norm do.</summary>
    /// <param name="x">[…, width].</param>
    /// <param name="row">[width].</param>
    /// <returns>[…, width].</returns>
    public static Tensor MultiplyRow(Tensor x, Tensor row)
    {
        ShapeException.Require(x.Shape.Rank >= 1 && row.Shape == [x.Shape.Width], "multiply row", "row", row, "x", x);
        var y = Tensor.Temporary(x.Shape);
        var work = new MultipliedRows { X = x.Floats, Row = row.Floats, Y = y.Floats };
        RowKernels.Run(work, x.Shape.Rows, 2L * x.Shape.Width);
        if (Tape.Write<MultiplyRowEntry>(y, x, row) is { } entry) (entry.X, entry.Row) = (x, row);
        GC.KeepAlive(x);
        GC.KeepAlive(row);
        return y;
    }

    private ref struct MultipliedRows : RowKernels.IRows
    {
        public ReadOnlySpan<float> X, Row;
        public Span<float> Y;

        public readonly void Run(int start, int end)
        {
            var width = Row.Length;
            for (var row = start; row < end; row++)
                TensorPrimitives.Multiply(X.Slice(row * width, width), Row, Y.Slice(row * width, width));
        }
    }

    private sealed class MultiplyRowEntry : TapeEntry
    {
        public Tensor X = null!, Row = null!;

        public override void Backward()
        {
            var dy = OutputGradient;
            if (Row.Slot is { } row)
            {
                var products = Tensor.Temporary(X.Shape);
                ProductKernel.Multiply(dy, X.Floats, products.Floats, false);
                RowKernels.SumRows(products.Floats, row.Add());
            }

            if (X.Slot is not { } x) return;
            var scaled = Tensor.Temporary(X.Shape);
            RowKernels.Run(new MultipliedRows { X = dy, Row = Row.Floats, Y = scaled.Floats }, X.Shape.Rows, 2L * X.Shape.Width);
            x.Add(scaled.Floats);
        }
    }
}
