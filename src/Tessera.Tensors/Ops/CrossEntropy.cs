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

    private static void AddScaled(Tensor x, Tensor gradient, float scale)
    {
        var dx = x.Slot!.Write(out var accumulate);
        SumKernel.Scale(gradient.Floats, scale, dx, accumulate);
    }
}
