namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>The mean of <c>(x − target)²</c>; a target that is NaN counts nothing.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="targets">F32 of as many elements.</param>
    /// <returns>A scalar; 0 where no target counts.</returns>
    /// <exception cref="ShapeException">There are more or fewer targets, or they are no F32 numbers.</exception>
    public static Tensor SquaredError(Tensor x, Tensor targets)
    {
        ShapeException.Require(
            targets.Type == ElementType.F32 && targets.Shape.Count == x.Shape.Count, "squared error", "targets", targets, "x", x);
        var counted = 0;
        foreach (var target in targets.Floats) counted += float.IsNaN(target) ? 0 : 1;
        var gradient = Tensor.Temporary(x.Shape);
        var sum = 0.0;
        for (var i = 0; i < gradient.Floats.Length; i++)
        {
            var error = float.IsNaN(targets.Floats[i]) ? 0 : x.Floats[i] - targets.Floats[i];
            sum += (double)error * error;
            gradient.Floats[i] = 2 * error / Math.Max(1, counted);
        }

        var y = Tensor.Temporary([]);
        y.Floats[0] = (float)(sum / Math.Max(1, counted));
        if (Tape.Write<ScaledGradientEntry>(y, x) is { } entry) (entry.X, entry.Gradient) = (x, gradient);
        GC.KeepAlive(x);
        GC.KeepAlive(targets);
        return y;
    }
}
