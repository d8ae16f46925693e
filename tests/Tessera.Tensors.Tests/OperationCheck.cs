namespace Tessera.Tensors.Tests;

/// <summary>
/// Compares an operation with a double-precision transcription of its equation, and its gradient with central
/// differences of that transcription.
/// </summary>
internal static class OperationCheck
{
    /// <summary>Checks values and the gradients of all inputs; the error is relative to the largest expected magnitude (at least
    /// 1).</summary>
    /// <param name="operation">The operation, from F32 inputs.</param>
    /// <param name="equation">The same in double precision, from the inputs' elements.</param>
    /// <param name="tolerance">The largest error allowed.</param>
    /// <param name="inputs">Shape and elements of each input.</param>
    /// <returns>The largest errors found, of the values and of the gradients.</returns>
    public static (double Value, double Gradient) Run(
        Func<Tensor[], Tensor> operation, Func<double[][], double[]> equation, double tolerance,
        params (Shape Shape, float[] Values)[] inputs)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var tensors = inputs.Select(input => Tensor.From(input.Values, input.Shape).WithGradient()).ToArray();
        var output = operation(tensors);
        var exact = inputs.Select(input => input.Values.Select(value => (double)value).ToArray()).ToArray();
        var valueError = Compare("value", equation(exact), output.ToArray(), tolerance);

        var random = new CounterRandom(77);
        var upstream = Enumerable.Range(0, (int)output.Shape.Count).Select(i => (float)random.Normal((ulong)i)).ToArray();
        tape.Backward(output, upstream);

        var gradientError = 0.0;
        for (var which = 0; which < inputs.Length; which++)
        {
            var gradient = tensors[which].Gradient.ToArray();
            if (gradient.Length == 0) gradient = new float[exact[which].Length];
            gradientError = Math.Max(gradientError,
                Compare($"gradient of input {which}", CentralDifferences(equation, exact, which, upstream), gradient, tolerance));
        }

        return (valueError, gradientError);
    }

    /// <summary>Random elements of the standard normal distribution times <paramref name="scale"/>.</summary>
    public static (Shape Shape, float[] Values) Random(Shape shape, int seed, double scale = 1, double offset = 0)
    {
        var random = new CounterRandom((ulong)seed).Derive("input");
        return (shape, [.. Enumerable.Range(0, (int)shape.Count).Select(i => (float)(offset + (scale * random.Normal((ulong)i))))]);
    }

    /// <summary>The largest difference relative to the largest expected magnitude (at least 1); fails above the tolerance.</summary>
    public static double Compare(string what, IReadOnlyList<double> expected, IReadOnlyList<float> found, double tolerance)
    {
        Assert.Equal(expected.Count, found.Count);
        var largest = 1.0;
        var difference = 0.0;
        for (var i = 0; i < expected.Count; i++)
        {
            Assert.False(float.IsNaN(found[i]) && !double.IsNaN(expected[i]), $"{what}: element {i} is NaN, expected {expected[i]}");
            largest = Math.Max(largest, Math.Abs(expected[i]));
            difference = Math.Max(difference, Math.Abs(expected[i] - found[i]));
        }

        Assert.True(difference / largest <= tolerance, $"{what}: relative error {difference / largest:E2} is above {tolerance:E2}");
        return difference / largest;
    }

    private static double[] CentralDifferences(Func<double[][], double[]> equation, double[][] inputs, int which, float[] upstream)
    {
        const double Step = 1e-5;
        var gradient = new double[inputs[which].Length];
        for (var i = 0; i < gradient.Length; i++)
        {
            var original = inputs[which][i];
            inputs[which][i] = original + Step;
            var above = Dot(equation(inputs), upstream);
            inputs[which][i] = original - Step;
            var below = Dot(equation(inputs), upstream);
            inputs[which][i] = original;
            gradient[i] = (above - below) / (2 * Step);
        }

        return gradient;
    }

    private static double Dot(double[] left, float[] right) => left.Zip(right, (l, r) => l * r).Sum();
}
