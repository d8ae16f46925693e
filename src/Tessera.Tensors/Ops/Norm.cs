using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Root-mean-square normalisation: <c>y = x / sqrt(mean(x²) + ε) · weight</c> over the innermost axis
    /// (Zhang and Sennrich 2019, arXiv 1910.07467).</summary>
    /// <param name="x">[…, width].</param>
    /// <param name="weight">[width].</param>
    /// <param name="epsilon">Greater than 0 where a row may be all zeros.</param>
    public static Tensor RmsNorm(Tensor x, Tensor weight, float epsilon) => Norm("rms norm", x, weight, null, epsilon, centred: false);

    /// <summary>Layer normalisation: <c>y = (x − mean(x)) / sqrt(var(x) + ε) · weight + bias</c> over the innermost axis
    /// (Ba, Kiros, Hinton 2016, arXiv 1607.06450).</summary>
    /// <param name="x">[…, width].</param>
    /// <param name="weight">[width].</param>
    /// <param name="bias">[width], or none.</param>
    /// <param name="epsilon">Greater than 0 where a row may be constant.</param>
    public static Tensor LayerNorm(Tensor x, Tensor weight, Tensor? bias, float epsilon) =>
        Norm("layer norm", x, weight, bias, epsilon, centred: true);

    private static Tensor Norm(string name, Tensor x, Tensor weight, Tensor? bias, float epsilon, bool centred)
    {
        ShapeException.Require(weight.Shape == [x.Shape.Width], name, "weight", weight, "x", x);
        if (bias is not null) ShapeException.Require(bias.Shape == weight.Shape, name, "bias", bias, "weight", weight);

        var y = Tensor.Temporary(x.Shape);
        var statistics = Tensor.Temporary([x.Shape.Rows, 2]);
        NormKernels.Forward(x.Floats, weight.Floats, bias is null ? default : bias.Floats, y.Floats, statistics.Floats, epsilon, centred);
        if (Tape.Write<NormEntry>(y, x, weight, bias) is { } entry)
            (entry.X, entry.Weight, entry.Bias, entry.Statistics, entry.Centred) = (x, weight, bias, statistics, centred);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        GC.KeepAlive(bias);
        return y;
    }

    private sealed class NormEntry : TapeEntry
    {
        public Tensor X = null!, Weight = null!, Statistics = null!;
        public Tensor? Bias;
        public bool Centred;

        public override void Backward()
        {
            var (rows, width) = (X.Shape.Rows, X.Shape.Width);
            var partial = Tensor.Temporary([NormKernels.BackwardParts(rows, width), NormKernels.BackwardRows, width]);
            var dy = OutputGradient;
            var accumulate = false;
            var dx = X.Slot is { } x ? x.WriteOver(Output.Slot!, out accumulate) : default;
            NormKernels.Backward(X.Floats, Weight.Floats, Statistics.Floats, dy, dx, accumulate, partial.Floats, Centred);
            AddPartial(Weight, partial, 0);
            if (Bias is not null) AddPartial(Bias, partial, 1);
        }

        private static void AddPartial(Tensor parameter, Tensor partial, int which)
        {
            if (parameter.Slot is not { } slot) return;
            var sum = slot.Add();
            var width = partial.Shape[2];
            for (var part = 0; part < partial.Shape[0]; part++)
                TensorPrimitives.Add(sum, partial.Floats.Slice(((part * NormKernels.BackwardRows) + which) * width, width), sum);
        }
    }
}
