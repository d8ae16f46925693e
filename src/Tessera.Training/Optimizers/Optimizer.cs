using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Optimizers;

/// <summary>
/// Changes the parameters of a model by their gradients. What it remembers of each parameter is in <see cref="State"/>, to
/// be saved beside the weights; a parameter that has no gradient in a step is left as it is, moments and decay included.
/// </summary>
public abstract class Optimizer
{
    private readonly List<(string Name, Tensor Tensor)> _state = [];
    private readonly List<Trained> _trained = [];
    private readonly UpdateBatch _batch;

    /// <summary>Creates the optimizer of some parameters.</summary>
    /// <param name="parameters">The parameters by their full names, which must differ.</param>
    /// <param name="rules">Which parameters learn at another rate or not at all; the first rule that fits a name counts.</param>
    /// <exception cref="ArgumentException">Two parameters have the same name, or a rule fits none.</exception>
    protected Optimizer(IReadOnlyList<(string Name, Parameter Parameter)> parameters, IReadOnlyList<ParameterRule> rules)
    {
        var names = new HashSet<string>();
        foreach (var (name, parameter) in parameters)
        {
            if (!names.Add(name)) throw new ArgumentException($"two parameters are named {name}", nameof(parameters));
            var rule = rules.FirstOrDefault(rule => rule.Fits(name)) ?? ParameterRule.Plain;
            if (rule.LearningRateFactor > 0 && parameter.IsTrained) _trained.Add(new Trained(name, parameter, rule));
        }

        if (rules.FirstOrDefault(rule => !names.Any(rule.Fits)) is { } idle)
            throw new ArgumentException($"no parameter's name fits the pattern '{idle.Pattern}'; a name is, for example, {names.FirstOrDefault()}", nameof(rules));
        Learning = _trained.ConvertAll(trained => (trained.Name, trained.Parameter));
        _batch = new UpdateBatch(_trained.Count);
    }

    /// <summary>What is remembered between steps, named <c>&lt;parameter&gt;.exp_avg</c> and so on. Writing to these tensors
    /// restores a saved state; frozen parameters have none.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> State => _state;

    /// <summary>The parameters that learn: those with a gradient that no rule freezes.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Learning { get; }

    /// <summary>One step: every parameter that has a gradient moves against it. Gradients are left as they are. Allocates nothing.</summary>
    /// <param name="learningRate">η, before the factors of rules; finite and not negative.</param>
    /// <param name="gradientScale">What gradients are multiplied by on the way in, such as <see cref="GradientClip.Scale"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is not finite or the learning rate is negative.</exception>
    public void Step(double learningRate, double gradientScale = 1)
    {
        if (!double.IsFinite(learningRate) || learningRate < 0)
            throw new ArgumentOutOfRangeException(nameof(learningRate), learningRate, "the learning rate must be finite and not negative");
        if (!double.IsFinite(gradientScale))
            throw new ArgumentOutOfRangeException(nameof(gradientScale), gradientScale, "the gradient scale must be finite");
        for (var index = 0; index < _trained.Count; index++)
        {
            var trained = _trained[index];
            var weights = trained.Parameter.Value;
            if (!weights.Gradient.IsEmpty) Add(_batch, index, weights, trained.Parameter.Decays, learningRate * trained.Rule.LearningRateFactor);
        }

        Run(_batch, gradientScale);
    }

    /// <summary>Allocates a tensor of zeros for every trained parameter, in the order of the index given to <see cref="Add"/>;
    /// in <see cref="State"/> it is named <c>&lt;parameter&gt;.&lt;name&gt;</c>.</summary>
    /// <param name="name">The last part of the name.</param>
    /// <param name="scalar">Whether it is one integer (I32) instead of as many floats as the parameter has.</param>
    protected IReadOnlyList<Tensor> Remember(string name, bool scalar = false)
    {
        var tensors = _trained.ConvertAll(trained =>
            scalar ? Tensor.Allocate([], ElementType.I32) : Tensor.Allocate(trained.Parameter.Shape));
        _state.AddRange(_trained.Zip(tensors, (trained, tensor) => ($"{trained.Name}.{name}", tensor)));
        return tensors;
    }

    /// <summary>Adds one parameter to the batch of this step.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="index">Which of the trained parameters.</param>
    /// <param name="weights">The parameter's weights, which have a gradient.</param>
    /// <param name="decays">Whether weight decay applies.</param>
    /// <param name="learningRate">The parameter's own learning rate.</param>
    protected abstract void Add(UpdateBatch batch, int index, Tensor weights, bool decays, double learningRate);

    /// <summary>Runs the batch.</summary>
    protected abstract void Run(UpdateBatch batch, double gradientScale);

    private sealed record Trained(string Name, Parameter Parameter, ParameterRule Rule);
}
