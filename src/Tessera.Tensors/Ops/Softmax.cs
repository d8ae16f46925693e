using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>What an exponential costs, in floats touched.</summary>
    private const long CostOfExp = 16;

    /// <summary><c>y = eˣ / Σ eˣ</c> over the innermost axis, as of the gate of a router.</summary>
    public static Tensor Softmax(Tensor x)
    {
        var y = Tensor.Temporary(x.Shape);
        RowKernels.Run(new SoftmaxRows { X = x.Floats, Y = y.Floats, Width = x.Shape.Width }, x.Shape.Rows, CostOfExp * x.Shape.Width);

        if (Tape.Write<SoftmaxEntry>(y, x) is { } entry) entry.X = x;
        GC.KeepAlive(x);
        return y;
    }

    private sealed class SoftmaxEntry : TapeEntry
    {
        public Tensor X = null!;

        public override void Backward()
        {
            var dx = X.Slot!.Write(out var accumulate);
            var rows = new SoftmaxSlopes
            {
                Y = Output.Floats,
                Dy = OutputGradient,
                Dx = dx,
                Width = X.Shape.Width,
                Accumulate = accumulate,
            };
            RowKernels.Run(rows, X.Shape.Rows, 4L * X.Shape.Width);
        }
    }

    private ref struct SoftmaxRows : RowKernels.IRows
    {
        public ReadOnlySpan<float> X;
        public Span<float> Y;
        public int Width;

        public readonly void Run(int start, int end)
        {
            if (Width == 0) return; // rows without a greatest element
            for (var row = start; row < end; row++)
            {
                var from = X.Slice(row * Width, Width);
                var to = Y.Slice(row * Width, Width);
                TensorPrimitives.Subtract(from, TensorPrimitives.Max(from), to);
                TensorPrimitives.Exp(to, to);
                TensorPrimitives.Divide(to, TensorPrimitives.Sum<float>(to), to);
            }
        }
    }

    /// <summary>dx = y (dy − Σ y dy) a row.</summary>
    private ref struct SoftmaxSlopes : RowKernels.IRows
    {
        public ReadOnlySpan<float> Y, Dy;
        public Span<float> Dx;
        public int Width;
        public bool Accumulate;

        public readonly void Run(int start, int end)
        {
            for (var row = start; row < end; row++)
            {
                var y = Y.Slice(row * Width, Width);
                var dy = Dy.Slice(row * Width, Width);
                var dx = Dx.Slice(row * Width, Width);
                var along = TensorPrimitives.Dot(y, dy);
                for (var j = 0; j < Width; j++) dx[j] = (Accumulate ? dx[j] : 0) + (y[j] * (dy[j] - along));
            }
        }
    }
}
