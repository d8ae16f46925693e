using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>Options of <see cref="SigmoidRouter"/>; <c>"kind": "sigmoid"</c> in a recipe.</summary>
/// <param name="Normalise">Whether the gates of the chosen experts are divided by their sum.</param>
public sealed record SigmoidRouterOptions(bool Normalise = true) : RouterOptions
{
    /// <summary>What the gates are multiplied by; greater than 0.</summary>
    public float Scale { get; init; } = 1;

    /// <summary>How many groups of equal size the experts are cut into; a group's score is the sum of its two best experts'.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>How many of the groups a token may visit.</summary>
    public int ActiveGroups { get; init; } = 1;

    /// <summary>Whether each expert has a bias that steers the choice.</summary>
    public bool Bias { get; init; } = true;

    /// <summary>How far the bias of an expert moves after each step of training; 0 or above, 0 leaves it as it is.</summary>
    public float BiasRate { get; init; } = 0.001f;

    /// <inheritdoc/>
    public override Router Build(PartBuilder part, int shared, int routed, int active) => new SigmoidRouter(this, part, routed, active);
}

/// <summary>
/// The top k of <c>s + b</c> with <c>s = σ(W x)</c>, from a few groups of experts where there are groups; the gates are s alone.
/// The bias b has no gradient: after each step of training it falls by the bias rate for experts that were given more tokens than
/// the mean and rises for those with fewer, so that loads even out without a loss. Shared experts count fully.
/// <para>DeepSeek-AI 2024 (DeepSeek-V3), <see href="https://arxiv.org/abs/2412.19437"/>, section 2.1.2; Wang et al. 2024,
/// <see href="https://arxiv.org/abs/2408.15664"/>.</para>
/// </summary>
public sealed class SigmoidRouter : Router
{
    private readonly SigmoidRouterOptions _options;
    private readonly int _active;
    private readonly ExpertGroups _groups;
    private readonly Linear _gate;
    private readonly Parameter? _bias;
    private readonly long[] _loads;

    internal SigmoidRouter(SigmoidRouterOptions options, PartBuilder part, int routed, int active)
    {
        part.Require(options.Scale is > 0 and < float.PositiveInfinity, "scale", options.Scale, "greater than 0");
        part.Require(options.BiasRate is >= 0 and < float.PositiveInfinity, "biasRate", options.BiasRate, "0 or above");
        (_options, _active, _loads) = (options, active, new long[routed]);
        _groups = new ExpertGroups(part, options.Groups, options.ActiveGroups, routed, active, best: 2);
        _gate = Own("gate", new Linear(part.At("gate"), part.Width, routed, mayBeStored: false));
        if (options.Bias) _bias = Own("gate.e_score_correction_bias", PartBuilder.Untrained(routed));
    }

    /// <inheritdoc/>
    public override Routing Route(Activations x, ForwardContext context)
    {
        var scores = Op.Activate(_gate.Forward(x, context), Activation.Sigmoid);
        var choices = Op.TopIndices(_groups.Limit(Steered(scores)), _active);
        var plan = DispatchPlan.From(choices, _loads.Length, context.Padding);
        if (context is { IsTraining: true, IsRepeated: false } && _bias is not null) plan.AddCounts(_loads);
        return new Routing(null, Op.Select(scores, choices, _options.Normalise, _options.Scale), scores, plan);
    }

    /// <inheritdoc/>
    public override Tensor Probabilities(Tensor scores) => Op.NormalizeRows(scores);

    /// <inheritdoc/>
    public override void AfterUpdate()
    {
        if (_bias is null || _bias.IsFrozen) return;
        Op.EvenLoads(_bias.Value, _loads, _options.BiasRate);
        Array.Clear(_loads);
    }

    /// <summary>Scores plus bias, of which nobody wants a gradient.</summary>
    private Tensor Steered(Tensor scores)
    {
        if (_bias is null) return scores;
        using var paused = Tape.Pause();
        return Op.AddRow(scores, _bias.Value);
    }
}
