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
            if (parameter.IsTrained && ParameterRule.FactorOf(name, rules) > 0) _trained.Add(new Trained(name, parameter));
        }

        if (rules.FirstOrDefault(rule => !names.Any(rule.Fits)) is { } idle)
            throw new ArgumentException(
                $"no parameter's name fits the pattern '{idle.Pattern}'; a name is, for example, {names.FirstOrDefault()}", nameof(rules));
        Learning = _trained.ConvertAll(trained => (trained.Name, trained.Parameter));
        _batch = new UpdateBatch(_trained.Count);
        Follow(rules);
    }

    /// <summary>What is remembered between steps, named <c>&lt;parameter&gt;.exp_avg</c> and so on. Writing to these tensors
    /// restores a saved state; frozen parameters have none.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> State => _state;

    /// <summary>The parameters that learn: those with a gradient that no rule freezes.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Learning { get; }

    /// <summary>From now on parameters learn at the rates of other rules. Those that were frozen when the optimizer was made stay
    /// so; one that is to be frozen only now must have no gradient (<see cref="Parameter.IsFrozen"/>).</summary>
    public void Follow(IReadOnlyList<ParameterRule> rules)
    {
        foreach (var trained in _trained) trained.LearningRateFactor = ParameterRule.FactorOf(trained.Name, rules);
    }

    /// <summary>One step: every parameter that has a gradient moves against it. Gradients are left as they are. Allocates
    /// nothing.</summary>
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
            if (!weights.Gradient.IsEmpty) Add(_batch, index, weights, trained.Parameter.Decays, learningRate * trained.LearningRateFactor);
        }

        Run(_batch, gradientScale);
    }

    /// <summary>Allocates a tensor of zeros for every trained parameter, in the order of the index given to <see cref="Add"/>;
    /// in <see cref="State"/> it is named <c>&lt;parameter&gt;.&lt;name&gt;</c>.</summary>
    /// <param name="name">The last part of the name.</param>
    /// <param name="shape">Its shape, of the parameter's; the same where null.</param>
    /// <param name="type">What its elements are.</param>
    protected IReadOnlyList<Tensor> Remember(string name, Func<Shape, Shape>? shape = null, ElementType type = ElementType.F32)
    {
        var tensors = _trained.ConvertAll(trained =>
            Tensor.Allocate(shape is null ? trained.Parameter.Shape : shape(trained.Parameter.Shape), type));
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

    private sealed class Trained(string name, Parameter parameter)
    {
        public string Name => name;

        public Parameter Parameter => parameter;

        public double LearningRateFactor { get; set; } = 1;
    }
}
