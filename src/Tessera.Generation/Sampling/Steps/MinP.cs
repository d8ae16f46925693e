using System.Numerics.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>Takes away the tokens less likely than a share of the likeliest one's probability.
/// <para>Nguyen et al. 2024, <see href="https://arxiv.org/abs/2407.01082"/>, section 3.</para></summary>
/// <param name="share">In (0, 1].</param>
public sealed class MinP(float share) : SamplingStep
{
    private readonly float _share = Checked(share, share is > 0 and <= 1, "min-p", "greater than 0, at most 1");

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history) =>
        candidates.KeepFrom(TensorPrimitives.Max(candidates.Logits) + MathF.Log(_share));
}
