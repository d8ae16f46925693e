using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Divides each row by its sum, so that it adds up to 1: <c>y[row, i] = x[row, i] / Σ_j x[row, j]</c>.</summary>
    /// <param name="x">[…, width], positive.</param>
    /// <returns>The same shape.</returns>
    public static Tensor NormalizeRows(Tensor x)
    {
        ShapeException.Require(x.Shape.Rank >= 1, "normalize rows", "x", x, "[…, width]");
        var y = Tensor.Temporary(x.Shape);
        var work = new NormalizedRows { X = x.Floats, Y = y.Floats, Width = x.Shape.Width };
        RowKernels.Run(work, x.Shape.Rows, 3L * x.Shape.Width);
        if (Tape.Write<NormalizeRowsEntry>(y, x) is { } entry) entry.X = x;
        GC.KeepAlive(x);
        return y;
    }

    private ref struct NormalizedRows : RowKernels.IRows
    {
        public ReadOnlySpan<float> X;
        public Span<float> Y;
        public int Width;

        public readonly void Run(int start, int end)
        {
            for (var row = start; row < end; row++)
            {
                var x = X.Slice(row * Width, Width);
                var y = Y.Slice(row * Width, Width);
                var sum = InOrder(x);
                if (float.IsInfinity(1 / sum)) TensorPrimitives.Divide(x, sum, y);
                else TensorPrimitives.Multiply(x, 1 / sum, y);
            }
        }
    }

    /// <summary>The sum from the first to the last, the same bits whatever the vectors.</summary>
    private static float InOrder(ReadOnlySpan<float> values)
    {
        var sum = 0f;
        foreach (var value in values) sum += value;
        return sum;
    }

    private sealed class NormalizeRowsEntry : TapeEntry
    {
        public Tensor X = null!;

        public override void Backward()
        {
            var work = new NormalizedSlopes
            {
                X = X.Floats, Y = Output.Floats, Dy = OutputGradient, Dx = X.Slot!.Add(), Width = X.Shape.Width,
            };
            RowKernels.Run(work, X.Shape.Rows, 5L * X.Shape.Width);
        }
    }

    /// <summary><c>dx_i = (dy_i − Σ_j y_j dy_j) / S</c>, with S the sum of the row.</summary>
    private ref struct NormalizedSlopes : RowKernels.IRows
    {
        public ReadOnlySpan<float> X, Y, Dy;
        public Span<float> Dx;
        public int Width;

        public readonly void Run(int start, int end)
        {
            for (var row = start; row < end; row++)
            {
                var (at, along) = (row * Width, 0f);
                var sum = InOrder(X.Slice(at, Width));
                for (var i = at; i < at + Width; i++) along += Y[i] * Dy[i];
                for (var i = at; i < at + Width; i++) Dx[i] += (Dy[i] - along) / sum;
            }
        }
    }
}
