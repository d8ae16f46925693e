using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Optimizers;

/// <summary>The optimizers of a run: each changes parameters of its own, and all take a step together.</summary>
/// <param name="optimizers">The optimizers, of different parameters.</param>
/// <param name="learning">The parameters of all, in the order in which their gradients are summed up.</param>
internal sealed class OptimizerGroups(IReadOnlyList<Optimizer> optimizers, IReadOnlyList<(string Name, Parameter Parameter)> learning)
{
    /// <summary>The parameters that some optimizer changes.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Learning => learning;

    /// <summary>What all remember between steps.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> State { get; } = [.. optimizers.SelectMany(optimizer => optimizer.State)];

    /// <summary>See <see cref="Optimizer.Follow"/>.</summary>
    public void Follow(IReadOnlyList<ParameterRule> rules)
    {
        foreach (var optimizer in optimizers) optimizer.Follow(rules);
    }

    /// <summary>See <see cref="Optimizer.Step"/>.</summary>
    public void Step(double learningRate, double gradientScale)
    {
        for (var index = 0; index < optimizers.Count; index++) optimizers[index].Step(learningRate, gradientScale);
    }
}
