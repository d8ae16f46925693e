using Tessera.Tensors;

namespace Tessera.Nn.Norms;

/// <summary>Options of <see cref="LayerNorm"/>; <c>"kind": "layer"</c> in a recipe.</summary>
/// <param name="Epsilon">Added to the variance; greater than 0.</param>
/// <param name="Bias">Whether there is a bias.</param>
public sealed record LayerNormOptions(float Epsilon = 1e-5f, bool Bias = true) : NormOptions(Epsilon)
{
    /// <inheritdoc/>
    public override Norm Build(PartBuilder part) => new LayerNorm(this, part);
}

/// <summary>
/// Layer normalisation: <c>(x − mean(x)) / sqrt(var(x) + ε) · weight + bias</c>.
/// <para>Ba, Kiros, Hinton 2016, <see href="https://arxiv.org/abs/1607.06450"/>.</para>
/// </summary>
public sealed class LayerNorm : Norm
{
    private readonly float _epsilon;
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    internal LayerNorm(LayerNormOptions options, PartBuilder part)
    {
        part.Require(options.Epsilon > 0, "epsilon", options.Epsilon, "greater than 0");
        _epsilon = options.Epsilon;
        _weight = Own("weight", PartBuilder.Constant(part.Width, 1));
        if (options.Bias) _bias = Own("bias", PartBuilder.Constant(part.Width, 0));
    }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) => Op.LayerNorm(x, _weight.Value, _bias?.Value, _epsilon);
}
