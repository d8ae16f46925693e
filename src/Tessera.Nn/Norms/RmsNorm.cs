using Tessera.Tensors;

namespace Tessera.Nn.Norms;

/// <summary>Options of <see cref="RmsNorm"/>; <c>"kind": "rms"</c> in a recipe.</summary>
/// <param name="Epsilon">Added to the mean square; greater than 0.</param>
/// <param name="UnitOffset">Whether vectors are multiplied by <c>1 + weight</c>, with weights that begin at 0 (Gemma).</param>
public sealed record RmsNormOptions(float Epsilon = 1e-6f, bool UnitOffset = false) : NormOptions(Epsilon)
{
    /// <inheritdoc/>
    public override Norm Build(PartBuilder part) => new RmsNorm(this, part);
}

/// <summary>
/// Root-mean-square normalisation: <c>x / sqrt(mean(x²) + ε) · weight</c>, without centring or bias; with a unit offset
/// <c>1 + weight</c>.
/// <para>Zhang and Sennrich 2019, <see href="https://arxiv.org/abs/1910.07467"/>; the offset: Gemma Team 2024,
/// <see href="https://arxiv.org/abs/2403.08295"/>.</para>
/// </summary>
public sealed class RmsNorm : Norm
{
    private readonly float _epsilon;
    private readonly bool _unitOffset;
    private readonly Parameter _weight;

    internal RmsNorm(RmsNormOptions options, PartBuilder part)
    {
        part.Require(options.Epsilon > 0, "epsilon", options.Epsilon, "greater than 0");
        (_epsilon, _unitOffset) = (options.Epsilon, options.UnitOffset);
        _weight = Own("weight", PartBuilder.Constant(part.Width, _unitOffset ? 0 : 1));
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) =>
        Op.RmsNorm(x, _unitOffset ? Op.Add(_weight.Value, Ones(_weight.Value.Shape)) : _weight.Value, _epsilon);
}
