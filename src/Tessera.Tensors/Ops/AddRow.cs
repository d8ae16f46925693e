using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Adds one row to all: <c>y[…, i] = x[…, i] + row[i]</c>, as of a bias.</summary>
    /// <param name="x">[…, width].</param>
    /// <param name="row">[width].</param>
    /// <returns>[…, width].</returns>
    public static Tensor AddRow(Tensor x, Tensor row)
    {
        ShapeException.Require(x.Shape.Rank >= 1 && row.Shape == [x.Shape.Width], "add row", "row", row, "x", x);
        var y = Tensor.Temporary(x.Shape);
        var work = new AddedRows { X = x.Floats, Row = row.Floats, Y = y.Floats };
        RowKernels.Run(work, x.Shape.Rows, 2L * x.Shape.Width);
        if (Tape.Write<AddRowEntry>(y, x, row) is { } entry) (entry.X, entry.Row) = (x, row);
        GC.KeepAlive(x);
        GC.KeepAlive(row);
        return y;
    }

    private ref struct AddedRows : RowKernels.IRows
    {
        public ReadOnlySpan<float> X, Row;
        public Span<float> Y;

        public readonly void Run(int start, int end)
        {
            var width = Row.Length;
            for (var row = start; row < end; row++) TensorPrimitives.Add(X.Slice(row * width, width), Row, Y.Slice(row * width, width));
        }
    }

    private sealed class AddRowEntry : TapeEntry
    {
        public Tensor X = null!, Row = null!;

        public override void Backward()
        {
            if (Row.Slot is { } row) RowKernels.SumRows(OutputGradient, row.Add());
            X.Slot?.Add(Output.Slot!);
        }
    }
}
