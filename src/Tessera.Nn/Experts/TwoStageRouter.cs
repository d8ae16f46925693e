using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>Options of <see cref="TwoStageRouter"/>; <c>"kind": "two-stage"</c> in a recipe.</summary>
public sealed record TwoStageRouterOptions : RouterOptions
{
    /// <inheritdoc/>
    [JsonIgnore]
    public override int MinShared => 1;

    /// <inheritdoc/>
    public override Router Build(PartBuilder part, int shared, int routed, int active) => new TwoStageRouter(part, shared, routed, active);
}

/// <summary>
/// First <c>[a₁, a₂] = 2 softmax(W_h x)</c> weighs the shared against the routed half; then <c>softmax(W_s x)</c>, times
/// their number, weighs the shared experts, and the top k of <c>softmax(W_r x)</c>, divided by their sum and times k, the
/// routed ones. The factors make every gate 1 when all are even.
/// <para>Jin et al. 2024 (Mixture-of-Head attention), <see href="https://arxiv.org/abs/2410.11842"/>, section 3.2.</para>
/// </summary>
public sealed class TwoStageRouter : Router
{
    private readonly int _shared;
    private readonly int _routed;
    private readonly int _active;
    private readonly Linear _stage;
    private readonly Linear _sharedGate;
    private readonly Linear _routedGate;

    internal TwoStageRouter(PartBuilder part, int shared, int routed, int active)
    {
        part.Require(shared >= 1, "kind", "two-stage", "a router for at least one shared expert");
        (_shared, _routed, _active) = (shared, routed, active);
        _stage = Own("stage", new Linear(part.At("stage"), part.Width, 2, mayBeStored: false));
        _sharedGate = Own("shared", new Linear(part.At("shared"), part.Width, shared, mayBeStored: false));
        _routedGate = Own("routed", new Linear(part.At("routed"), part.Width, routed, mayBeStored: false));
    }

    /// <inheritdoc/>
    public override Routing Route(Activations x, ForwardContext context)
    {
        var halves = Op.Softmax(_stage.Forward(x, context));
        var shared = Op.Softmax(_sharedGate.Forward(x, context));
        var probabilities = Op.Softmax(_routedGate.Forward(x, context));
        var choices = Op.TopIndices(probabilities, _active);
        var gates = Op.Select(probabilities, choices, normalise: true, scale: _active);
        return new Routing(
            Op.ScaleGroups(shared, halves, groups: 1, first: 0, scale: 2 * _shared),
            Op.ScaleGroups(gates, halves, groups: 1, first: 1, scale: 2),
            probabilities,
            DispatchPlan.From(choices, _routed, context.Padding));
    }
}
