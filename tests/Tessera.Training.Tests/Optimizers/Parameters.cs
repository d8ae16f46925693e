using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Tests.Optimizers;

/// <summary>Parameters with given weights and gradients.</summary>
internal static class Parameters
{
    public static (string Name, Parameter Parameter) Of(string name, float[] weights, bool decays = true) =>
        Of(name, weights, [weights.Length], decays);

    public static (string Name, Parameter Parameter) Of(string name, float[] weights, Shape shape, bool decays = true)
    {
        var tensor = Tensor.AllocateParameter(shape);
        weights.CopyTo(tensor.Floats);
        return (name, new Parameter(tensor, decays));
    }

    /// <summary>Random parameters of many sizes, from none to more than one part's share.</summary>
    public static List<(string Name, Parameter Parameter)> Random(int seed, params int[] sizes)
    {
        var random = new Random(seed);
        return [.. sizes.Select((size, index) => Of($"p{index}", Normal(random, size), decays: index % 2 == 0))];
    }

    public static float[] Normal(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];

    /// <summary>Makes <paramref name="gradient"/> the gradient, as a backward pass would.</summary>
    public static void SetGradient(this Parameter parameter, float[] gradient)
    {
        parameter.Value.ClearGradient();
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        tape.Backward(Op.Scale(parameter.Value, 1), gradient);
    }
}
