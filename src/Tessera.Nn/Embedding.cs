using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>A table of vectors, one a token: <c>weight</c> [vocabulary, width].</summary>
public sealed class Embedding : Module
{
    private readonly float _scale;

    /// <summary>A table of random vectors.</summary>
    /// <param name="part">Where the weights come from.</param>
    /// <param name="vocabulary">How many tokens.</param>
    /// <param name="width">The width of a vector.</param>
    /// <param name="scale">Multiplies what is looked up.</param>
    /// <param name="deviation">Of the initial weights.</param>
    public Embedding(PartBuilder part, int vocabulary, int width, float scale = 1, double deviation = 0.02)
    {
        _scale = scale;
        Weight = Own("weight", new Weight(part.Normal("weight", [vocabulary, width], deviation, mayBeStored: true)) { IsTable = true });
    }

    /// <summary>The table.</summary>
    public Weight Weight { get; }

    /// <summary>Looks up I32 [...] and gives [..., width].</summary>
    public Tensor Forward(Tensor ids) => Weight.Rows(ids, _scale);

    /// <inheritdoc/>
    protected override long ActiveWeights(Parameter parameter) => parameter.Shape.Count / Math.Max(1, Weight.Outputs);

    /// <inheritdoc/>
    public override double FlopsPerToken(int length) => 0;
}
