using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Lora;

/// <summary>
/// The adapters of a model's weights, as a part of their own: they act in the model, as <see cref="LowRankForm"/>s, but their parameters,
/// named after the weight (<c>decoder.layers.0.attention.q_proj.lora_A.weight</c>), are here and not among the model's, so that each can
/// be saved without the other.
/// </summary>
public sealed class LoraAdapters : Module
{
    private readonly Module _model;
    private readonly List<(string Name, Weight Weight, LoraAdapter Adapter)> _all = [];
    private readonly List<(string Name, Weight Weight, LowRankForm Form)> _acting = [];

    /// <summary>No adapters yet.</summary>
    /// <param name="model">The model whose weights are to have some.</param>
    public LoraAdapters(Module model) => _model = model;

    /// <summary>The adapters with the weights they were given to, by full names without a last part <c>weight</c>.</summary>
    public IReadOnlyList<(string Name, Weight Weight, LoraAdapter Adapter)> All => _all;

    /// <summary>An adapted weight, and another one that shares its form and so would change with it if the adapters were merged; null where
    /// there is none.</summary>
    public (string Name, string Other)? Tied
    {
        get
        {
            var users = Users();
            foreach (var (name, weight, form) in _acting)
                if (OtherThan(weight, users[form.Base]) is { } other) return (name, other);
            return null;
        }
    }

    /// <summary>Whether they act: switched off, the model computes what it did without them. Not to be changed while the model
    /// computes.</summary>
    /// <exception cref="InvalidOperationException">A weight was given another form meanwhile.</exception>
    public bool IsActive
    {
        get;
        set
        {
            if (value == field) return;
            foreach (var (name, weight, form) in _acting)
                if (weight.Form != (field ? form : form.Base)) throw Exchanged(name);
            foreach (var (_, weight, form) in _acting) weight.Form = value ? form : form.Base;
            field = value;
        }
    } = true;

    /// <summary>Gives the weights whose names fit new adapters, which change nothing yet. Weights that share a form, as a tied head and its
    /// embedding, are adapted apart, as in PEFT.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">Which weights, and what adapters.</param>
    /// <param name="random">Where the adapters' numbers come from.</param>
    /// <exception cref="RecipeException">An option is not allowed, or a pattern fits no weight.</exception>
    public static LoraAdapters Attach(Module model, LoraOptions options, CounterRandom random)
    {
        options.Validate("lora");
        var weights = model.Weights();
        for (var index = 0; index < options.Targets.Count; index++)
        {
            if (weights.Any(own => WeightPattern.Fits(options.Targets[index], own.Name))) continue;
            throw new RecipeException(
                $"lora.targets[{index}]",
                $"is '{options.Targets[index]}', which fits no weight; allowed, for example: {WeightPattern.Examples(weights)}");
        }

        var adapters = new LoraAdapters(model);
        var scale = LoraOptions.Scale(options.Alpha, options.Rank, options.RankStabilized);
        foreach (var (full, weight) in weights.Where(own => options.Targets.Any(target => WeightPattern.Fits(target, own.Name))))
        {
            var name = WeightPattern.Short(full);
            var part = new PartBuilder(weight.Inputs, name, random.Derive("lora").Derive(name));
            adapters.Add(full, weight, new LoraAdapter(part, weight.Shape, options.Rank, scale, options.Dropout));
        }

        return adapters;
    }

    /// <summary>Gives a weight an adapter.</summary>
    /// <param name="name">The weight's full name.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="adapter">Of its shape.</param>
    /// <exception cref="ArgumentException">The weight has one, or the adapter is for another shape.</exception>
    public void Add(string name, Weight weight, LoraAdapter adapter)
    {
        name = WeightPattern.Short(name);
        if (weight.Form is LowRankForm) throw new ArgumentException($"'{name}' has an adapter already");
        var form = new LowRankForm(weight.Form, adapter);
        weight.Form = form;
        _all.Add((name, weight, Own(name, adapter)));
        _acting.Add((name, weight, form));
    }

    /// <summary>Adds what the adapters compute to their weights, which then have none. Here they stay as they are; to
    /// merge again changes nothing.</summary>
    /// <exception cref="InvalidOperationException">A weight is not F32, is shared with another, or was exchanged meanwhile. Nothing has
    /// changed.</exception>
    public void Merge()
    {
        IsActive = true;
        var users = Users();
        foreach (var (name, weight, form) in _acting) RequireMergeable(name, weight, form, users[form.Base]);
        foreach (var (_, weight, form) in _acting)
        {
            form.Adapter.AddTo(form.Base.Writable());
            weight.Form = form.Base;
        }

        _acting.Clear();
    }

    private static void RequireMergeable(string name, Weight weight, LowRankForm form, IEnumerable<(string Name, Weight Weight)> users)
    {
        if (weight.Form != form)
            throw Exchanged(name);
        if (!form.Base.IsWritable)
            throw new InvalidOperationException($"'{name}' has {form.Base.Description} weights; only F32 can be added to");
        if (OtherThan(weight, users) is not { } other) return;
        throw new InvalidOperationException(
            $"'{name}' shares its weights with '{other}', which would change too; adapters of tied weights cannot be merged");
    }

    private static string? OtherThan(Weight weight, IEnumerable<(string Name, Weight Weight)> users) =>
        users.FirstOrDefault(own => own.Weight != weight) is { Weight: not null } other ? WeightPattern.Short(other.Name) : null;

    /// <summary>The model's weights by the form that they are stored in.</summary>
    private ILookup<WeightForm, (string Name, Weight Weight)> Users() => _model.Weights().ToLookup(own => BaseOf(own.Weight.Form));

    private static InvalidOperationException Exchanged(string name) =>
        new($"'{name}' was given another form than its adapter's, which can no longer be merged or switched");

    private static WeightForm BaseOf(WeightForm form) => form is LowRankForm adapted ? adapted.Base : form;
}
