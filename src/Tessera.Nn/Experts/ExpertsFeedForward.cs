using System.Text.Json.Serialization;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>Options of <see cref="ExpertsFeedForward"/>; <c>"kind": "experts"</c> in a recipe.</summary>
/// <param name="Routed">Experts to choose from; 1 to 65,536.</param>
/// <param name="Active">How many of them a token visits; 1 to <paramref name="Routed"/>.</param>
/// <param name="Expert">What one expert is; all are alike. A <c>swiglu</c> where null.</param>
/// <param name="Shared">Experts that every token visits, 0 to 1,024; as few as the router allows where null: one for <c>two-stage</c>,
/// none for others.</param>
public sealed record ExpertsOptions(int Routed = 8, int Active = 2, DenseOptions? Expert = null, int? Shared = null) : FeedForwardOptions
{
    /// <summary>What one expert is; all are alike. Where its <c>hidden</c> is null, all experts that a token visits are together about as
    /// wide as a dense feed-forward would be.</summary>
    public DenseOptions Expert { get; init; } = Expert ?? new SwiGluOptions();

    /// <summary>The hidden width of one shared expert; as the routed ones' where null.</summary>
    public int? SharedHidden { get; init; }

    /// <summary>Whether the maps of shared experts have biases; routed ones have none.</summary>
    public bool SharedBias { get; init; }

    /// <summary>How experts are chosen.</summary>
    public RouterOptions Router { get; init; } = new SoftmaxRouterOptions();

    /// <summary>How many experts every token visits.</summary>
    [JsonIgnore]
    public int SharedCount => Shared ?? Router.MinShared;

    /// <inheritdoc/>
    public override ExpertsOptions At(int width) => this with
    {
        Shared = SharedCount,
        Expert = Expert with { Hidden = Expert.Hidden ?? DenseOptions.RoundUp(Expert.HiddenAt(width), Math.Max(1, Active + SharedCount)) },
    };

    /// <inheritdoc/>
    public override FeedForward.FeedForward Build(PartBuilder part) => new ExpertsFeedForward(At(part.Width), part);
}

/// <summary>
/// A mixture of experts: <c>Σ_s g_s(x) E_s(x)</c> over the shared experts plus <c>Σ_{r ∈ top k} g_r(x) E_r(x)</c> over the
/// routed ones. A token costs shared + active experts, whatever their number. Reports, where wanted, the losses <c>balance</c>, over all
/// tokens, and <c>sequence-balance</c>, over those of each sequence, of several that are packed in a row each on its own. Padding is routed
/// nowhere and counts in neither.
/// <para>Shazeer et al. 2017, <see href="https://arxiv.org/abs/1701.06538"/>; shared experts: Dai et al. 2024 (DeepSeekMoE),
/// <see href="https://arxiv.org/abs/2401.06066"/>.</para>
/// </summary>
public sealed class ExpertsFeedForward : FeedForward.FeedForward
{
    private readonly ExpertsOptions _options;
    private readonly Router _router;
    private readonly SharedExperts? _shared;
    private readonly Weight? _gate;
    private readonly Weight _up;
    private readonly Weight _down;

    internal ExpertsFeedForward(ExpertsOptions options, PartBuilder part)
    {
        part.Require(options.Routed is >= 1 and <= 65536, "routed", options.Routed, "1 to 65536");
        part.Require(options.Active >= 1 && options.Active <= options.Routed, "active", options.Active, $"1 to routed, {options.Routed}");
        part.Require(options.SharedCount is >= 0 and <= 1024, "shared", options.SharedCount, "0 to 1024");
        var (width, hidden) = (part.Width, options.Expert.HiddenAt(part.Width));
        part.At("expert").Require(hidden is >= 1 and <= DenseFeedForward.MaxHidden, "hidden", hidden, $"1 to {DenseFeedForward.MaxHidden}");
        part.At("expert").Require(!options.Expert.Bias, "bias", "true", "false: experts have no biases");
        part.Require(
            options.SharedHidden is null or (>= 1 and <= DenseFeedForward.MaxHidden), "sharedHidden", options.SharedHidden,
            $"1 to {DenseFeedForward.MaxHidden}");

        _options = options;
        _router = Own("router", options.Router.Build(part.At("router"), options.SharedCount, options.Routed, options.Active));
        if (options.SharedCount > 0) _shared = Own("shared_experts", new SharedExperts(options, part.At("shared_experts")));
        if (options.Expert.IsGated) _gate = Experts("gate_proj", hidden, width, 1 / Math.Sqrt(width));
        _up = Experts("up_proj", hidden, width, 1 / Math.Sqrt(width));
        _down = Experts("down_proj", width, hidden, part.OutputDeviation(hidden));

        Weight Experts(string name, int outputs, int inputs, double deviation) => Own(
            $"experts.{name}",
            new Weight(part.At("experts").Normal(name, [options.Routed, outputs, inputs], deviation, mayBeStored: true)));
    }

    /// <summary>How many experts there are to choose from.</summary>
    public int Routed => _options.Routed;

    /// <inheritdoc/>
    public override IReadOnlyList<string> OfferedLosses { get; } = ["balance", "sequence-balance"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> OfferedMeasurements { get; } = ["expert-use"];

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x, ForwardContext context)
    {
        var tokens = x.Reshape([x.Shape.Rows, x.Shape.Width]);
        using var shared = Activations.Of(tokens);
        var routing = _router.Route(shared, context);
        if (!context.IsRepeated) context.ExpertUse?.Add(this, routing.Plan);
        AddLosses(routing, x.Shape[0], context);

        var y = Op.Combine(Run(Op.Dispatch(tokens, routing.Plan), routing.Plan, context), routing.Gates, routing.Plan);
        if (_shared is not null) y = Op.Add(y, _shared.Forward(shared, routing.SharedGates, context));
        return y.Reshape(x.Shape);
    }

    /// <inheritdoc/>
    protected override long ActiveWeights(Parameter parameter) => parameter.Shape.Count / _options.Routed * _options.Active;

    /// <inheritdoc/>
    public override double FlopsPerToken(int length) =>
        _router.FlopsPerToken(length) + (_shared?.FlopsPerToken(length) ?? 0) + (2.0 * RoutedCount() * _options.Active / _options.Routed);

    /// <summary>The loss of a sequence looks at what its tokens would choose by their scores alone, without groups and biases.</summary>
    private void AddLosses(in Routing routing, int rows, ForwardContext context)
    {
        var (overall, ofSequences) = (context.Wants("balance"), context.Wants("sequence-balance"));
        if (!overall && !ofSequences) return;
        var probabilities = _router.Probabilities(routing.Scores);
        if (overall) context.AddLoss("balance", Op.BalanceLoss(probabilities, routing.Plan));
        if (ofSequences)
        {
            var choices = Op.TopIndices(probabilities, _options.Active);
            context.AddLoss("sequence-balance", Op.BalanceLoss(probabilities, choices, context.Sequences(probabilities.Shape[0], rows)));
        }
    }

    private long RoutedCount() => (_gate?.Shape.Count ?? 0) + _up.Shape.Count + _down.Shape.Count;

    private Tensor Run(Tensor slots, in DispatchPlan plan, ForwardContext context)
    {
        using var read = Activations.Of(slots);
        var up = _up.ApplyGrouped(read, plan.Offsets, context);
        var activation = _options.Expert.Activation;
        using var hidden = Activations.Of(
            _gate is null ? Op.Activate(up, activation) : Op.Gate(_gate.ApplyGrouped(read, plan.Offsets, context), up, activation));
        return _down.ApplyGrouped(hidden, plan.Offsets, context);
    }
}
