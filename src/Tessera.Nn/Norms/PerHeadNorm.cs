using Tessera.Tensors;

namespace Tessera.Nn.Norms;

/// <summary>
/// The norm of each head on its own, with weights of its own: <c>norm(x[h]) · weight[h]</c>, <c>weight</c> [heads, head width], 1 at first.
/// <para>Cohere's norm of queries and keys in Command R+, after Dehghani et al. 2023, <see href="https://arxiv.org/abs/2302.05442"/>,
/// section 2.</para>
/// </summary>
internal sealed class PerHeadNorm : Norm
{
    private readonly NormOptions _options;
    private readonly Parameter _weight;

    /// <summary>Builds the part.</summary>
    /// <param name="options">An RMS norm, or a layer norm without a bias.</param>
    /// <param name="part">Its width is that of a head.</param>
    /// <param name="heads">How many heads there are.</param>
    public PerHeadNorm(NormOptions options, PartBuilder part, int heads)
    {
        part.Require(options.Epsilon > 0, "epsilon", options.Epsilon, "greater than 0");
        part.Require(
            options is RmsNormOptions { UnitOffset: false } or LayerNormOptions { Bias: false }, "kind", Parts.KindOf(options.GetType()),
            "rms without unitOffset, or layer with bias: false, where each head has weights of its own");
        _options = options;
        var (rows, width) = (heads, part.Width);
        _weight = Own("weight", new Parameter([rows, width], decays: false, isTrained: true, () => Initial.Constant([rows, width], 1)));
    }

    /// <inheritdoc/>
    /// <param name="x">[batch, length, heads, width].</param>
    public override Tensor Forward(Tensor x)
    {
        var ones = Ones([x.Shape.Width]);
        var normed = _options is RmsNormOptions
            ? Op.RmsNorm(x, ones, _options.Epsilon)
            : Op.LayerNorm(x, ones, bias: null, _options.Epsilon);
        var all = x.Shape[2] * x.Shape[3];
        return Op.MultiplyRow(normed.Reshape([x.Shape[0], x.Shape[1], all]), _weight.Value.Reshape([all])).Reshape(x.Shape);
    }
}
