using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Optimizers;

/// <summary>Options of <see cref="Nesterov"/>; <c>"kind": "nesterov"</c> in a recipe.</summary>
/// <param name="Momentum">μ, in [0, 1); 0 is plain gradient descent.</param>
/// <param name="WeightDecay">λ, at least 0, added to the gradient as λ w.</param>
public sealed record NesterovOptions(double Momentum = 0.9, double WeightDecay = 0) : OptimizerOptions
{
    /// <inheritdoc/>
    public override Optimizer Build(IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        Check();
        return new Nesterov(this, parameters);
    }

    /// <inheritdoc/>
    protected override void Check()
    {
        Require(Momentum, nameof(Momentum), below: 1);
        Require(WeightDecay, nameof(WeightDecay));
    }
}

/// <summary>
/// Stochastic gradient descent with Nesterov's momentum: <c>g ← g + λ w</c>, <c>b ← μ b + g</c>, <c>w ← w − η (g + μ b)</c>.
/// λ applies to matrices, not to biases and norms. State: <c>momentum_buffer</c> (b) of each parameter; one float a weight.
/// <para>Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and momentum in deep learning",
/// <see href="https://proceedings.mlr.press/v28/sutskever13.html"/>. Agrees with PyTorch's <c>torch.optim.SGD(nesterov=True)</c>.</para>
/// </summary>
internal sealed class Nesterov : Optimizer
{
    private readonly NesterovOptions _options;
    private readonly IReadOnlyList<Tensor> _momentum;

    internal Nesterov(NesterovOptions options, IReadOnlyList<(string Name, Parameter Parameter)> parameters)
        : base(parameters, options.Rules)
    {
        _options = options;
        _momentum = Remember("momentum_buffer");
    }

    /// <inheritdoc/>
    protected override void Add(UpdateBatch batch, int index, Tensor weights, bool decays, double learningRate) =>
        batch.Add(weights, _momentum[index], null, new UpdateFactors(learningRate, decays ? _options.WeightDecay : 0));

    /// <inheritdoc/>
    protected override void Run(UpdateBatch batch, double gradientScale) => batch.Nesterov(_options.Momentum, gradientScale);
}
