using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>Options of <see cref="SoftmaxRouter"/>; <c>"kind": "softmax"</c> in a recipe.</summary>
/// <param name="Normalise">Whether the gates of the chosen experts are divided by their sum (Mixtral does, DeepSeekMoE does not).</param>
public sealed record SoftmaxRouterOptions(bool Normalise = true) : RouterOptions
{
    /// <summary>What the gates are multiplied by; greater than 0.</summary>
    public float Scale { get; init; } = 1;

    /// <summary>How many groups of equal size the experts are cut into; a group's score is that of its best expert (DeepSeek-V2).</summary>
    public int Groups { get; init; } = 1;

    /// <summary>How many of the groups a token may visit.</summary>
    public int ActiveGroups { get; init; } = 1;

    /// <inheritdoc/>
    public override Router Build(PartBuilder part, int shared, int routed, int active) => new SoftmaxRouter(this, part, routed, active);
}

/// <summary>
/// The top k of <c>softmax(W x)</c>, from a few groups of experts where there are groups; shared experts count fully.
/// <para>Shazeer et al. 2017, <see href="https://arxiv.org/abs/1701.06538"/>; Jiang et al. 2024,
/// <see href="https://arxiv.org/abs/2401.04088"/>; groups: DeepSeek-AI 2024, <see href="https://arxiv.org/abs/2405.04434"/>.</para>
/// </summary>
public sealed class SoftmaxRouter : Router
{
    private readonly SoftmaxRouterOptions _options;
    private readonly int _routed;
    private readonly int _active;
    private readonly ExpertGroups _groups;
    private readonly Linear _gate;

    internal SoftmaxRouter(SoftmaxRouterOptions options, PartBuilder part, int routed, int active)
    {
        part.Require(options.Scale is > 0 and < float.PositiveInfinity, "scale", options.Scale, "greater than 0");
        (_options, _routed, _active) = (options, routed, active);
        _groups = new ExpertGroups(part, options.Groups, options.ActiveGroups, routed, active, best: 1);
        _gate = Own("gate", new Linear(part.At("gate"), part.Width, routed, mayBeStored: false));
    }

    /// <inheritdoc/>
    public override Routing Route(Activations x, ForwardContext context)
    {
        var probabilities = Op.Softmax(_gate.Forward(x, context));
        var choices = Op.TopIndices(_groups.Limit(probabilities), _active);
        return new Routing(
            null, Op.Select(probabilities, choices, _options.Normalise, _options.Scale), probabilities,
            DispatchPlan.From(choices, _routed, context.Padding));
    }
}
