using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>Options of <see cref="Op.CrossEntropy"/> and <see cref="Op.LinearCrossEntropy"/>.</summary>
/// <param name="Smoothing">Label smoothing ε in [0, 1): the target distribution is (1 − ε) one-hot + ε uniform.</param>
/// <param name="ZWeight">Weight of the squared log-sum-exp, which keeps logits from drifting (0 for none).</param>
public readonly record struct CrossEntropySettings(float Smoothing = 0, float ZWeight = 0)
{
    internal void Check()
    {
        if (Smoothing is not (>= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(Smoothing), Smoothing, "label smoothing is in [0, 1)");
    }
}

public static partial class Op
{
    private const int LogitRowsAtOnce = 256;

    /// <summary>What the gradient of logits is multiplied by while it is a factor of products: their loss scale cannot reach it,
    /// since it is computed before the backward pass, and F16 holds nothing below 6e-8. A power of two, so that no other
    /// rounding changes; divided out with the number of targets.</summary>
    private const float LogitGradientScale = 1024;

    /// <summary>The mean over rows of <c>−log softmax(logits)[target]</c>; rows with a negative target count nothing.</summary>
    /// <param name="logits">[rows, classes].</param>
    /// <param name="targets">I32 [rows]: from 0 to classes − 1, or negative.</param>
    /// <param name="settings">Smoothing and z loss.</param>
    /// <returns>A scalar; 0 where no row counts.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The smoothing is not in [0, 1).</exception>
    public static Tensor CrossEntropy(Tensor logits, Tensor targets, CrossEntropySettings settings = default)
    {
        ShapeException.Require(logits.Shape.Rank == 2, "cross entropy", "logits", logits, "[rows, classes]");
        settings.Check();
        var counted = CountTargets("cross entropy", targets, logits.Shape[0], logits.Shape[1]);
        var gradient = Tensor.Temporary(logits.Shape);
        logits.Floats.CopyTo(gradient.Floats);
        var losses = Tensor.Temporary([logits.Shape[0]]);
        CrossEntropyKernels.Rows(gradient.Floats, targets.Ints, losses.Floats, settings, 1f / Math.Max(1, counted));
        var y = Mean(losses, counted);
        if (Tape.Write<ScaledGradientEntry>(y, logits) is { } entry) (entry.X, entry.Gradient) = (logits, gradient);
        GC.KeepAlive(logits);
        GC.KeepAlive(targets);
        return y;
    }

    /// <summary>
    /// <see cref="CrossEntropy"/> of <c>logits = x Wᵀ</c> without ever holding the logits of more than a few rows: the
    /// gradients of x and W are computed while the logits of those rows are at hand.
    /// </summary>
    /// <param name="x">[…, width].</param>
    /// <param name="weight">[classes, width].</param>
    /// <param name="targets">I32 of as many elements as x has rows: from 0 to classes − 1, or negative.</param>
    /// <param name="settings">Smoothing and z loss.</param>
    /// <returns>A scalar: the mean over the rows that count, 0 where none does.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The smoothing is not in [0, 1).</exception>
    public static Tensor LinearCrossEntropy(Tensor x, Tensor weight, Tensor targets, CrossEntropySettings settings = default)
    {
        ShapeException.Require(
            weight.Shape.Rank == 2 && weight.Shape[1] == x.Shape.Width, "linear cross entropy", "weight", weight, "x", x);
        settings.Check();
        var (rows, width, classes) = (x.Shape.Rows, x.Shape.Width, weight.Shape[0]);
        var counted = CountTargets("linear cross entropy", targets, rows, classes);
        var losses = Tensor.Temporary([rows]);
        var y = Tensor.Temporary([]);
        var entry = Tape.Write<LinearCrossEntropyEntry>(y, x, weight);
        if (entry is not null)
        {
            (entry.X, entry.Weight, entry.Scale) = (x, weight, 1 / (LogitGradientScale * Math.Max(1, counted)));
            entry.GradientX = x.RequiresGradient ? Tensor.Temporary(x.Shape) : null;
            entry.GradientWeight = weight.RequiresGradient ? Tensor.Temporary(weight.Shape) : null;
            if (rows == 0) entry.GradientWeight?.Floats.Clear();
        }

        var kind = MatrixProductKinds.Choose(rows, classes, width, packed: entry is not null && weight.IsParameter);
        var forward = entry is null ? default : PackedParameter.Of(weight, transposed: true, kind);
        var backward = entry?.GradientX is null ? default : PackedParameter.Of(weight, transposed: false, kind);
        using (Arena.Current.Scope())
        {
            var logits = Tensor.Temporary([Math.Min(LogitRowsAtOnce, rows), classes]);
            for (var start = 0; start < rows; start += LogitRowsAtOnce)
            {
                var count = Math.Min(LogitRowsAtOnce, rows - start);
                var part = new Matrix(x.Floats.Slice(start * width, count * width), count, width);
                var scores = logits.Floats[..(count * classes)];
                MatrixProduct.Multiply(part, weight.AsMatrix().T, scores, accumulate: false, kind: kind, packed: forward);
                CrossEntropyKernels.Rows(
                    scores, targets.Ints.Slice(start, count), losses.Floats.Slice(start, count), settings,
                    entry is null ? 0 : LogitGradientScale);
                var gradient = new Matrix(scores, count, classes);
                if (entry?.GradientX is { } dx)
                {
                    var dPart = dx.Floats.Slice(start * width, count * width);
                    MatrixProduct.Multiply(gradient, weight.AsMatrix(), dPart, accumulate: false, kind: kind, packed: backward);
                }

                if (entry?.GradientWeight is { } dWeight)
                    MatrixProduct.Multiply(gradient.T, part, dWeight.Floats, accumulate: start > 0, kind: kind);
            }
        }

        y.Floats[0] = MeanValue(losses, counted);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        GC.KeepAlive(targets);
        return y;
    }

    private static int CountTargets(string operation, Tensor targets, int rows, int classes)
    {
        ShapeException.Require(
            targets.Type == ElementType.I32 && targets.Shape.Count == rows, operation, "targets", targets, $"I32 of {rows} elements");
        var counted = 0;
        foreach (var target in targets.Ints)
        {
            if (target >= classes) throw new ShapeException($"{operation}: target {target} is not one of {classes} classes");
            if (target >= 0) counted++;
        }

        return counted;
    }

    private static Tensor Mean(Tensor losses, int counted)
    {
        var y = Tensor.Temporary([]);
        y.Floats[0] = MeanValue(losses, counted);
        return y;
    }

    private static float MeanValue(Tensor losses, int counted)
    {
        var sum = 0.0;
        foreach (var loss in losses.Floats) sum += loss;
        return (float)(sum / Math.Max(1, counted));
    }

    /// <summary>An operation whose gradient is known but for the scalar that comes in.</summary>
    private sealed class ScaledGradientEntry : TapeEntry
    {
        public Tensor X = null!, Gradient = null!;

        public override void Backward() => AddScaled(X, Gradient, OutputGradient[0]);
    }

    private sealed class LinearCrossEntropyEntry : TapeEntry
    {
        public Tensor X = null!, Weight = null!;
        public Tensor? GradientX, GradientWeight;
        public float Scale;

        public override void Backward()
        {
            if (GradientX is not null) AddScaled(X, GradientX, OutputGradient[0] * Scale);
            if (GradientWeight is not null) AddScaled(Weight, GradientWeight, OutputGradient[0] * Scale);
        }
    }

    private static void AddScaled(Tensor x, Tensor gradient, float scale)
    {
        var dx = x.Slot!.Write(out var accumulate);
        SumKernel.Scale(gradient.Floats, scale, dx, accumulate);
    }
}
