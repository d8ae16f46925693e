using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Optimizers;

/// <summary>Options of <see cref="AdamW"/>; <c>"kind": "adamw"</c> in a recipe. The defaults are those most decoders are
/// trained with (Brown et al. 2020, <see href="https://arxiv.org/abs/2005.14165"/>, appendix B).</summary>
/// <param name="Beta1">β₁, the share of the mean of gradients that is kept, in [0, 1).</param>
/// <param name="Beta2">β₂, the share of the mean of squared gradients that is kept, in [0, 1).</param>
/// <param name="Epsilon">ε, at least 0.</param>
/// <param name="WeightDecay">λ, at least 0: a step takes ηλ of each weight away.</param>
public sealed record AdamWOptions(double Beta1 = 0.9, double Beta2 = 0.95, double Epsilon = 1e-8, double WeightDecay = 0.1)
    : OptimizerOptions
{
    /// <inheritdoc/>
    public override Optimizer Build(IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        Check();
        return new AdamW(this, parameters);
    }

    /// <inheritdoc/>
    protected override void Check()
    {
        Require(Beta1, nameof(Beta1), below: 1);
        Require(Beta2, nameof(Beta2), below: 1);
        Require(Epsilon, nameof(Epsilon));
        Require(WeightDecay, nameof(WeightDecay));
    }
}

/// <summary>
/// Adam with decoupled weight decay: <c>m ← β₁ m + (1 − β₁) g</c>, <c>v ← β₂ v + (1 − β₂) g²</c>,
/// <c>w ← w − η λ w − η · m̂ / (√v̂ + ε)</c> with <c>m̂ = m / (1 − β₁ᵗ)</c>, <c>v̂ = v / (1 − β₂ᵗ)</c>, where t counts the steps
/// in which this parameter had a gradient. λ applies to matrices, not to biases and norms; with λ = 0 this is Adam.
/// State: <c>exp_avg</c> (m), <c>exp_avg_sq</c> (v) and <c>step</c> (t) of each parameter, as PyTorch names them; two floats a weight.
/// <para>Loshchilov, Hutter 2017, <see href="https://arxiv.org/abs/1711.05101"/>, algorithm 2; Kingma, Ba 2014,
/// <see href="https://arxiv.org/abs/1412.6980"/>. Agrees with PyTorch's <c>torch.optim.AdamW</c>.</para>
/// </summary>
internal sealed class AdamW : Optimizer
{
    private readonly AdamWOptions _options;
    private readonly IReadOnlyList<Tensor> _means, _squares, _steps;

    internal AdamW(AdamWOptions options, IReadOnlyList<(string Name, Parameter Parameter)> parameters) : base(parameters, options.Rules)
    {
        _options = options;
        _means = Remember("exp_avg");
        _squares = Remember("exp_avg_sq");
        _steps = Remember("step", _ => [], ElementType.I32);
    }

    /// <inheritdoc/>
    protected override void Add(UpdateBatch batch, int index, Tensor weights, bool decays, double learningRate)
    {
        var step = ++_steps[index].Ints[0];
        batch.Add(weights, _means[index], _squares[index], new UpdateFactors(
            learningRate,
            decays ? learningRate * _options.WeightDecay : 0,
            1 - Math.Pow(_options.Beta1, step),
            1 - Math.Pow(_options.Beta2, step)));
    }

    /// <inheritdoc/>
    protected override void Run(UpdateBatch batch, double gradientScale) =>
        batch.AdamW(_options.Beta1, _options.Beta2, _options.Epsilon, gradientScale);
}
