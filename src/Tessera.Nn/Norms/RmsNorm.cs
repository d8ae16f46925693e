using Tessera.Tensors;

namespace Tessera.Nn.Norms;

/// <summary>Options of <see cref="RmsNorm"/>; <c>"kind": "rms"</c> in a recipe.</summary>
/// <param name="Epsilon">Added to the mean square; greater than 0.</param>
public sealed record RmsNormOptions(float Epsilon = 1e-6f) : NormOptions(Epsilon)
{
    /// <inheritdoc/>
    public override Norm Build(PartBuilder part) => new RmsNorm(this, part);
}

/// <summary>
/// Root-mean-square normalisation: <c>x / sqrt(mean(x²) + ε) · weight</c>, without centring or bias.
/// <para>Zhang and Sennrich 2019, <see href="https://arxiv.org/abs/1910.07467"/>.</para>
/// </summary>
public sealed class RmsNorm : Norm
{
    private readonly float _epsilon;
    private readonly Parameter _weight;

    internal RmsNorm(RmsNormOptions options, PartBuilder part)
    {
        part.Require(options.Epsilon > 0, "epsilon", options.Epsilon, "greater than 0");
        _epsilon = options.Epsilon;
        _weight = Own("weight", PartBuilder.Constant(part.Width, 1));
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) => Op.RmsNorm(x, _weight.Value, _epsilon);
}
