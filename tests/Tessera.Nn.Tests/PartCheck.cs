using Tessera.Tensors;

namespace Tessera.Nn.Tests;

/// <summary>
/// Compares a part with a double-precision transcription of its equations that reads the part's own parameters by name,
/// and its gradients, of inputs and of every parameter, with central differences of the transcription.
/// </summary>
internal static class PartCheck
{
    public static PartBuilder Builder(int width, ulong seed = 5) => new(width, "model", new CounterRandom(seed));

    public static float[] Normal(int count, ulong seed, double scale = 1, double offset = 0)
    {
        var random = new CounterRandom(seed).Derive("test");
        return [.. Enumerable.Range(0, count).Select(i => (float)(offset + (scale * random.Normal((ulong)i))))];
    }

    public static Tensor Ints(Shape shape, params int[] values) => Tensor.From(values, shape);

    /// <summary>I32 [rows, length]: 0, 1, 2 … in each row.</summary>
    public static Tensor Positions(int rows, int length) =>
        Ints([rows, length], [.. Enumerable.Range(0, rows * length).Select(i => i % length)]);

    public static ForwardContext Step(int rows, int length) => new() { Positions = Positions(rows, length) };

    /// <summary>Makes biases and norms, which start at 0 and 1, tell the truth about being used.</summary>
    public static T Shaken<T>(T part) where T : Module
    {
        foreach (var (name, parameter) in part.Parameters())
        {
            if (parameter.Value.Shape.Rank > 1) continue;
            Normal(parameter.Value.Floats.Length, (ulong)name.Length + 99, 0.3, parameter.Value.Floats[0]).CopyTo(parameter.Value.Floats);
        }

        return part;
    }

    public static Dictionary<string, double[]> Exact(Module part) => part.Parameters()
        .ToDictionary(own => own.Name, own => own.Parameter.Value.ToArray().Select(value => (double)value).ToArray());

    /// <summary>Checks values and gradients; errors are relative to the largest expected magnitude (at least 1).</summary>
    /// <param name="part">Whose parameters are used.</param>
    /// <param name="forward">The part's output for its inputs.</param>
    /// <param name="equation">The same in double precision from parameters and inputs by name.</param>
    /// <param name="tolerance">The largest error allowed.</param>
    /// <param name="isReal">Which elements of the output mean something.</param>
    /// <param name="inputs">By name.</param>
    public static void Run(
        Module part, Func<Dictionary<string, Tensor>, Tensor> forward, Func<Dictionary<string, double[]>, double[]> equation,
        double tolerance, Func<int, bool>? isReal, params (string Name, Shape Shape)[] inputs)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var tensors = inputs.ToDictionary(
            input => input.Name,
            input => Tensor.From(Normal((int)input.Shape.Count, (ulong)input.Name.Length + 7), input.Shape).WithGradient());
        var exact = Exact(part);
        foreach (var (name, tensor) in tensors) exact[name] = [.. tensor.ToArray().Select(value => (double)value)];

        var output = forward(tensors);
        var count = (int)output.Shape.Count;
        var upstream = Normal(count, 77);
        for (var i = 0; i < count; i++)
            if (isReal?.Invoke(i) == false) upstream[i] = 0;
        Compare("value", Masked(equation(exact), isReal), Masked([.. output.ToArray().Select(value => (double)value)], isReal), tolerance);
        tape.Backward(output, upstream);

        foreach (var (name, parameter) in part.Parameters().Where(own => own.Parameter.IsTrained)) tensors[name] = parameter.Value;
        foreach (var (name, tensor) in tensors)
        {
            Assert.False(tensor.Gradient.IsEmpty, $"{name} has no gradient");
            Compare(
                $"gradient of {name}", CentralDifferences(equation, exact, name, upstream),
                [.. tensor.Gradient.ToArray().Select(value => (double)value)], tolerance);
            tensor.ClearGradient();
        }
    }

    /// <summary>Fails where the largest difference is above the tolerance times the largest expected magnitude (at least 1).</summary>
    public static double Compare(string what, IReadOnlyList<double> expected, IReadOnlyList<double> found, double tolerance)
    {
        Assert.Equal(expected.Count, found.Count);
        var (largest, difference) = (1.0, 0.0);
        for (var i = 0; i < expected.Count; i++)
        {
            Assert.True(double.IsFinite(found[i]), $"{what}: element {i} is {found[i]}, expected {expected[i]}");
            largest = Math.Max(largest, Math.Abs(expected[i]));
            difference = Math.Max(difference, Math.Abs(expected[i] - found[i]));
        }

        var error = difference / largest;
        Assert.True(error <= tolerance, $"{what}: relative error {error:E2} is above {tolerance:E2}");
        return error;
    }

    public static double Compare(string what, IReadOnlyList<float> expected, IReadOnlyList<float> found, double tolerance) =>
        Compare(what, [.. expected.Select(value => (double)value)], [.. found.Select(value => (double)value)], tolerance);

    private static double[] Masked(double[] values, Func<int, bool>? isReal) =>
        isReal is null ? values : [.. values.Select((value, i) => isReal(i) ? value : 0)];

    private static double[] CentralDifferences(
        Func<Dictionary<string, double[]>, double[]> equation, Dictionary<string, double[]> exact, string name, float[] upstream)
    {
        const double Delta = 1e-5;
        var gradient = new double[exact[name].Length];
        for (var i = 0; i < gradient.Length; i++)
        {
            var original = exact[name][i];
            exact[name][i] = original + Delta;
            var above = Dot(equation(exact), upstream);
            exact[name][i] = original - Delta;
            var below = Dot(equation(exact), upstream);
            exact[name][i] = original;
            gradient[i] = (above - below) / (2 * Delta);
        }

        return gradient;
    }

    private static double Dot(double[] left, float[] right)
    {
        var sum = 0.0;
        for (var i = 0; i < left.Length; i++)
            if (right[i] != 0) sum += left[i] * right[i];
        return sum;
    }
}
