using System.IO.Enumeration;
using Tessera.Tensors;

namespace Tessera.Nn.Lora;

/// <summary>
/// The adapters of a model's linear maps, as a part of their own: they act in the model, but their parameters, named after the map
/// (<c>decoder.layers.0.attention.q_proj.lora_A.weight</c>), are here and not among the model's, so that each can be saved without
/// the other.
/// </summary>
public sealed class LoraAdapters : Module
{
    private readonly List<(string Name, Linear Map, LoraAdapter Adapter)> _adapted = [];

    /// <summary>No adapters yet.</summary>
    public LoraAdapters()
    {
    }

    /// <summary>The maps that have an adapter, by their full names.</summary>
    public IEnumerable<(string Name, LoraAdapter Adapter)> All => _adapted.Select(adapted => (adapted.Name, adapted.Adapter));

    /// <summary>Gives the linear maps whose names fit new adapters, which change nothing yet.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">Which maps, and what adapters.</param>
    /// <param name="random">Where their weights come from.</param>
    /// <exception cref="RecipeException">An option is not allowed, or a pattern fits no map.</exception>
    public static LoraAdapters Attach(Module model, LoraOptions options, CounterRandom random)
    {
        options.Validate("lora");
        var maps = Maps(model);
        for (var index = 0; index < options.Targets.Count; index++)
        {
            if (maps.Keys.Any(name => Fits(options.Targets[index], name))) continue;
            var kinds = maps.Keys.Select(name => "*." + name[(name.LastIndexOf('.') + 1)..]).Distinct();
            throw new RecipeException($"lora.targets[{index}]", $"is '{options.Targets[index]}', which fits no linear map; allowed, for example: {string.Join(", ", kinds)}");
        }

        var adapters = new LoraAdapters();
        foreach (var (name, map) in maps.Where(map => options.Targets.Any(target => Fits(target, map.Key))))
        {
            var part = new PartBuilder(map.Inputs, name, random.Derive("lora").Derive(name));
            adapters.Add(name, map, new LoraAdapter(part, map.Outputs, options.Rank, LoraOptions.Scale(options.Alpha, options.Rank, options.RankStabilized), options.Dropout));
        }

        return adapters;
    }

    /// <summary>The linear maps of a model that can have an adapter, by their full names.</summary>
    public static IReadOnlyDictionary<string, Linear> Maps(Module model) => model.Modules()
        .Where(named => named.Module is Linear).ToDictionary(named => named.Name, named => (Linear)named.Module);

    /// <summary>Gives a map an adapter.</summary>
    /// <exception cref="ArgumentException">The map has one, or the adapter is of other widths.</exception>
    public void Add(string name, Linear map, LoraAdapter adapter)
    {
        if (adapter.Down.Shape[1] != map.Inputs || adapter.Up.Shape[0] != map.Outputs)
            throw new ArgumentException($"an adapter from {adapter.Down.Shape[1]} to {adapter.Up.Shape[0]} does not fit '{name}', from {map.Inputs} to {map.Outputs}");
        map.Adapt(adapter);
        _adapted.Add((name, map, Own(name, adapter)));
    }

    /// <summary>Adds what the adapters compute to the weights of their maps, which then have no adapter. Here they stay as they are; to
    /// merge again changes nothing.</summary>
    /// <exception cref="InvalidOperationException">The weights of a map are not F32.</exception>
    public void Merge()
    {
        if (_adapted.Find(adapted => adapted.Map.Weight.Type != ElementType.F32) is { Name: { } stored, Map: var map })
            throw new InvalidOperationException($"'{stored}' has {map.Weight.Type} weights; only F32 can be added to");
        foreach (var (_, merged, _) in _adapted) merged.Merge();
    }

    private static bool Fits(string pattern, string name) => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);
}
