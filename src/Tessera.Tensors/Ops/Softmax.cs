using System.Numerics.Tensors;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary><c>y = eˣ / Σ eˣ</c> over the innermost axis, as of the gate of a router.</summary>
    public static Tensor Softmax(Tensor x)
    {
        var y = Tensor.Temporary(x.Shape);
        var width = x.Shape.Width;
        for (var i = 0; i < x.Floats.Length; i += width)
        {
            var row = y.Floats.Slice(i, width);
            TensorPrimitives.Subtract(x.Floats.Slice(i, width), TensorPrimitives.Max<float>(x.Floats.Slice(i, width)), row);
            TensorPrimitives.Exp(row, row);
            TensorPrimitives.Divide(row, TensorPrimitives.Sum<float>(row), row);
        }

        if (Tape.Write<SoftmaxEntry>(y, x) is { } entry) entry.X = x;
        return y;
    }

    private sealed class SoftmaxEntry : TapeEntry
    {
        public Tensor X = null!;

        public override void Backward()
        {
            var dx = X.Slot!.Add();
            var width = X.Shape.Width;
            for (var i = 0; i < dx.Length; i += width)
            {
                var y = Output.Floats.Slice(i, width);
                var dy = OutputGradient.Slice(i, width);
                var along = TensorPrimitives.Dot<float>(y, dy);
                for (var j = 0; j < width; j++) dx[i + j] += y[j] * (dy[j] - along);
            }
        }
    }
}
