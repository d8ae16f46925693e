using Tessera.Tensors;

namespace Tessera.Nn.Experts;

/// <summary>Options of <see cref="SoftmaxRouter"/>; <c>"kind": "softmax"</c> in a recipe.</summary>
/// <param name="Normalise">Whether the gates of the chosen experts are divided by their sum (Mixtral does, DeepSeekMoE does not).</param>
public sealed record SoftmaxRouterOptions(bool Normalise = true) : RouterOptions
{
    /// <inheritdoc/>
    public override Router Build(PartBuilder part, int shared, int routed, int active) => new SoftmaxRouter(this, part, routed, active);
}

/// <summary>
/// The top k of <c>softmax(W x)</c>; shared experts count fully.
/// <para>Shazeer et al. 2017, <see href="https://arxiv.org/abs/1701.06538"/>; Jiang et al. 2024,
/// <see href="https://arxiv.org/abs/2401.04088"/>.</para>
/// </summary>
public sealed class SoftmaxRouter : Router
{
    private readonly int _routed;
    private readonly int _active;
    private readonly bool _normalise;
    private readonly Linear _gate;

    internal SoftmaxRouter(SoftmaxRouterOptions options, PartBuilder part, int routed, int active)
    {
        (_routed, _active, _normalise) = (routed, active, options.Normalise);
        _gate = Own("gate", new Linear(part.At("gate"), part.Width, routed));
    }

    /// <inheritdoc/>
    public override Routing Route(Tensor x, Step step)
    {
        var probabilities = Op.Softmax(_gate.Forward(x));
        var choices = Op.TopIndices(probabilities, _active);
        return new Routing(null, Op.Select(probabilities, choices, _normalise), probabilities, DispatchPlan.From(choices, _routed));
    }
}
