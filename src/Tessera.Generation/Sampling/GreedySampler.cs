using System.Numerics.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>Always the token of the greatest logit; of equals the first.</summary>
public sealed class GreedySampler : Sampler
{
    /// <inheritdoc/>
    protected override int Pick(ReadOnlySpan<float> logits, TokenHistory history) => TensorPrimitives.IndexOfMax(logits);
}
