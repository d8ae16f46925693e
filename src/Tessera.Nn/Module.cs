using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>
/// A part of a model: it owns named parameters and child parts. A parameter's full name joins the names on the way to it
/// with dots, as Hugging Face's do: <c>decoder.layers.0.attention.q_proj.weight</c>.
/// </summary>
public abstract class Module
{
    private readonly List<(string Name, Parameter Parameter)> _parameters = [];
    private readonly List<(string Name, Module Module)> _children = [];

    /// <summary>The child parts with their names, in order.</summary>
    public IReadOnlyList<(string Name, Module Module)> Children => _children;

    /// <summary>This part's own parameters with their names, in order.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> OwnParameters => _parameters;

    /// <summary>All parameters with their full names, in order; one that is shared comes once, by the name it has in the
    /// last part that owns it: a tied head by its embedding's, as Hugging Face names it.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters()
    {
        var names = new Dictionary<Parameter, string>();
        var order = new List<Parameter>();
        foreach (var (name, module) in Modules())
        {
            foreach (var (own, parameter) in module._parameters)
            {
                if (!names.ContainsKey(parameter)) order.Add(parameter);
                names[parameter] = Join(name, own);
            }
        }

        return order.ConvertAll(parameter => (names[parameter], parameter));
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
        .SelectMany(module => module.Module._parameters.Where(own => own.Parameter.IsTrained), (module, own) => (own.Parameter, Active: module.Module.ActiveWeights(own.Parameter)))
        .GroupBy(use => use.Parameter, (_, uses) => uses.Max(use => use.Active))
        .Sum();

    /// <summary>Multiplications and additions for one token of a sequence of <paramref name="length"/>, forward: two for
    /// each active weight of a matrix, and what a part adds of its own (attention's scores).</summary>
    public virtual double FlopsPerToken(int length) =>
        _parameters.Where(own => own.Parameter.Shape.Rank >= 2).Sum(own => 2.0 * own.Parameter.Shape.Count)
        + _children.Sum(child => child.Module.FlopsPerToken(length));

    /// <summary>Called for every part of a model at the end of each context of training, once the optimizer has changed the weights:
    /// for what is learned without a gradient. Nothing unless a part says otherwise.</summary>
    public virtual void AfterUpdate()
    {
    }

    /// <summary>How many weights of one of this part's own parameters take part in computing one token; all unless said.</summary>
    protected virtual long ActiveWeights(Parameter parameter) => parameter.Shape.Count;

    /// <summary>Makes a parameter this part's own.</summary>
    protected Parameter Own(string name, Parameter parameter)
    {
        _parameters.Add((name, parameter));
        return parameter;
    }

    /// <summary>Makes a part a child of this one.</summary>
    protected T Own<T>(string name, T child) where T : Module
    {
        _children.Add((name, child));
        return child;
    }

    private static string Join(string above, string below) =>
        above.Length == 0 ? below : below.Length == 0 ? above : $"{above}.{below}";
}
