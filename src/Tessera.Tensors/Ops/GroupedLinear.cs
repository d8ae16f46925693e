using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Stand-in until the merge.</summary>
    public static Tensor GroupedLinear(Tensor x, Tensor weight, Tensor offsets)
    {
        var (groups, outputs, inputs) = (weight.Shape[0], weight.Shape[1], weight.Shape[2]);
        var y = Tensor.Temporary([x.Shape[0], outputs]);
        for (var g = 0; g < groups; g++)
        {
            var (from, count) = (offsets.Ints[g], offsets.Ints[g + 1] - offsets.Ints[g]);
            if (count == 0) continue;
            MatrixProduct.Multiply(new Matrix(x.Floats.Slice(from * inputs, count * inputs), count, inputs),
                new Matrix(weight.Floats.Slice(g * outputs * inputs, outputs * inputs), outputs, inputs).T, y.Floats.Slice(from * outputs, count * outputs), false);
        }
        if (Tape.Write<GroupedLinearEntry>(y, x, weight) is { } entry) (entry.X, entry.Weight, entry.Offsets) = (x, weight, offsets);
        return y;
    }

    private sealed class GroupedLinearEntry : TapeEntry
    {
        public Tensor X = null!, Weight = null!, Offsets = null!;

        public override void Backward()
        {
            var (groups, outputs, inputs) = (Weight.Shape[0], Weight.Shape[1], Weight.Shape[2]);
            var dx = X.Slot!.Add();
            var dw = Weight.Slot!.Add();
            for (var g = 0; g < groups; g++)
            {
                var (from, count) = (Offsets.Ints[g], Offsets.Ints[g + 1] - Offsets.Ints[g]);
                if (count == 0) continue;
                var dy = new Matrix(OutputGradient.Slice(from * outputs, count * outputs), count, outputs);
                MatrixProduct.Multiply(dy, new Matrix(Weight.Floats.Slice(g * outputs * inputs, outputs * inputs), outputs, inputs), dx.Slice(from * inputs, count * inputs), true);
                MatrixProduct.Multiply(dy.T, new Matrix(X.Floats.Slice(from * inputs, count * inputs), count, inputs), dw.Slice(g * outputs * inputs, outputs * inputs), true);
            }
        }
    }
}
