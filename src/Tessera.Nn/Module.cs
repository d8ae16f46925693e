using Tessera.Nn.Weights;

namespace Tessera.Nn;

/// <summary>
/// A part of a model: it owns named weights, parameters and child parts. A parameter's full name joins the names on the way to it
/// with dots, as Hugging Face's do: <c>decoder.layers.0.attention.q_proj.weight</c>.
/// </summary>
public abstract class Module
{
    private readonly List<Owned> _own = [];
    private readonly List<(string Name, Module Module)> _children = [];

    /// <summary>The losses that this part itself can report while it trains (<see cref="ForwardContext.Wants"/>), by the names under which
    /// a phase weighs them; none unless said.</summary>
    public virtual IReadOnlyList<string> OfferedLosses => [];

    /// <summary>What evaluation can measure in this part itself, by the names of metrics; nothing unless said.</summary>
    public virtual IReadOnlyList<string> OfferedMeasurements => [];

    /// <summary>The child parts with their names, in order.</summary>
    public IReadOnlyList<(string Name, Module Module)> Children => _children;

    /// <summary>This part's own parameters with their names, those of its weights among them, in order.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> OwnParameters => [.. _own.SelectMany(own => own.Parameters)];

    /// <summary>This part's own weights with their names, in order.</summary>
    public IReadOnlyList<(string Name, Weight Weight)> OwnWeights =>
        [.. _own.Where(own => own.Weight is not null).Select(own => (own.Name, own.Weight!))];

    /// <summary>All parameters with their full names, in order; one that is shared comes once, by the name it has in the
    /// last part that owns it: a tied head by its embedding's, as Hugging Face names it.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters() => Distinct(module => module.OwnParameters);

    /// <summary>All weights with their full names, in order; one that is shared comes once, as <see cref="Parameters"/> has it.</summary>
    public IReadOnlyList<(string Name, Weight Weight)> Weights() => Distinct(module => module.OwnWeights);

    /// <summary>Exchanges the forms of weights. Parameters that were listed before may no longer be the model's.</summary>
    /// <param name="pattern">Full names, in which <c>*</c> stands for any characters and <c>?</c> for one; a last part <c>weight</c> may be
    /// left out: <c>*.q_proj</c>.</param>
    /// <param name="exchange">Gives the new form, of the same shape, from a weight's full name and the form it has; that itself where it
    /// is to stay. Where several of the weights have one form, as a tied head and its embedding, it is asked once, by the last of their
    /// names, and they go on sharing what it gives.</param>
    /// <returns>How many weights fit.</returns>
    /// <exception cref="ArgumentException">No weight fits, or a new form has another shape. Nothing has changed.</exception>
    public int ReplaceWeights(string pattern, Func<string, WeightForm, WeightForm> exchange)
    {
        var weights = Weights();
        var fitting = weights.Where(own => WeightPattern.Fits(pattern, own.Name)).ToList();
        if (fitting.Count == 0)
            throw new ArgumentException($"'{pattern}' fits no weight; allowed, for example: {WeightPattern.Examples(weights)}");
        var changes = new List<(Weight Weight, WeightForm Form)>();
        foreach (var alike in fitting.GroupBy(own => own.Weight.Form))
        {
            var form = exchange(alike.Last().Name, alike.Key);
            foreach (var (_, weight) in alike)
            {
                weight.RequireFits(form);
                changes.Add((weight, form));
            }
        }

        foreach (var (weight, form) in changes) weight.Form = form;
        return changes.Count;
    }

    /// <summary>This part and all below it with their full names, each before its children.</summary>
    public IEnumerable<(string Name, Module Module)> Modules()
    {
        yield return ("", this);
        foreach (var (name, child) in _children)
            foreach (var (below, module) in child.Modules())
                yield return (Join(name, below), module);
    }

    /// <summary>The number of trained weights, shared ones counted once.</summary>
    public long ParameterCount() => Parameters().Where(own => own.Parameter.IsTrained).Sum(parameter => parameter.Parameter.Shape.Count);

    /// <summary>The weights that take part in computing one token: all, but for the experts that a token does not visit
    /// and the rows of embedding tables that it does not look up. Of a shared parameter the part that uses most of it
    /// counts, so that this is never more than <see cref="ParameterCount"/>.</summary>
    public long ActiveParameterCount() => Modules()
        .SelectMany(
            module => module.Module.OwnParameters.Where(own => own.Parameter.IsTrained),
            (module, own) => (own.Parameter, Active: module.Module.ActiveWeights(own.Parameter)))
        .GroupBy(use => use.Parameter, (_, uses) => uses.Max(use => use.Active))
        .Sum();

    /// <summary>Multiplications and additions for one token of a sequence of <paramref name="length"/>, forward: two for
    /// each active weight of a matrix, and what a part adds of its own (attention's scores).</summary>
    public virtual double FlopsPerToken(int length) =>
        _own.Sum(own => 2.0 * own.MatrixElements) + _children.Sum(child => child.Module.FlopsPerToken(length));

    /// <summary>Called for every part of a model at the end of each step of training, once the optimizer has changed the weights:
    /// for what is learned without a gradient. Nothing unless a part says otherwise.</summary>
    public virtual void AfterUpdate()
    {
    }

    /// <summary>How many weights of one of this part's own parameters take part in computing one token; all unless said.</summary>
    protected virtual long ActiveWeights(Parameter parameter) => parameter.Shape.Count;

    /// <summary>Makes a parameter this part's own.</summary>
    protected Parameter Own(string name, Parameter parameter)
    {
        _own.Add(new Owned(name, parameter, null));
        return parameter;
    }

    /// <summary>Makes a weight this part's own.</summary>
    protected Weight Own(string name, Weight weight)
    {
        _own.Add(new Owned(name, null, weight));
        return weight;
    }

    /// <summary>Makes a part a child of this one.</summary>
    protected T Own<T>(string name, T child) where T : Module
    {
        _children.Add((name, child));
        return child;
    }

    /// <summary>What all parts own, each once: at the place of the first that owns it, by the name it has in the last.</summary>
    private List<(string Name, T Item)> Distinct<T>(Func<Module, IReadOnlyList<(string Name, T Item)>> own) where T : class
    {
        var names = new Dictionary<T, string>(ReferenceEqualityComparer.Instance);
        var order = new List<T>();
        foreach (var (name, module) in Modules())
        {
            foreach (var (below, item) in own(module))
            {
                if (!names.ContainsKey(item)) order.Add(item);
                names[item] = Join(name, below);
            }
        }

        return order.ConvertAll(item => (names[item], item));
    }

    private static string Join(string above, string below) =>
        above.Length == 0 ? below : below.Length == 0 ? above : $"{above}.{below}";

    /// <summary>A parameter, or a weight, whose parameters follow from its form.</summary>
    private readonly record struct Owned(string Name, Parameter? Parameter, Weight? Weight)
    {
        public IEnumerable<(string Name, Parameter Parameter)> Parameters
        {
            get
            {
                var name = Name;
                return Parameter is not null
                    ? [(name, Parameter)]
                    : Weight!.Form.Parameters.Select(own => (Join(name, own.Name), own.Parameter));
            }
        }

        /// <summary>The elements of a matrix or of several; of a weight those that it stands for, whatever stores them.</summary>
        public long MatrixElements => Weight is not null ? Weight.Shape.Count : Parameter!.Shape.Rank >= 2 ? Parameter.Shape.Count : 0;
    }
}
