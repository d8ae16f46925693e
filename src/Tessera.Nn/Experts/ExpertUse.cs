using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>Counts how many tokens, padding not among them, each routed expert of each layer was given.</summary>
public sealed class ExpertUse
{
    private readonly Dictionary<Module, long[]> _counts = [];

    /// <summary>The counts of one layer's routed experts, all zero where it has not run.</summary>
    public IReadOnlyList<long> Of(ExpertsFeedForward layer) => _counts.TryGetValue(layer, out var counts) ? counts : [];

    /// <summary>The counts of every mixture in a model, with their names, in order.</summary>
    public IEnumerable<(string Layer, IReadOnlyList<long> Counts)> In(Module model) =>
        from named in model.Modules()
        where _counts.ContainsKey(named.Module)
        select (named.Name, (IReadOnlyList<long>)_counts[named.Module]);

    internal void Add(Module layer, in DispatchPlan plan)
    {
        if (!_counts.TryGetValue(layer, out var counts)) _counts[layer] = counts = new long[plan.Groups];
        plan.AddCounts(counts);
    }
}
