using System.Numerics.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>Takes away the tokens less likely than a probability.
/// <para>Hewitt, Manning, Liang 2022, <see href="https://arxiv.org/abs/2210.15191"/>, section 4.</para></summary>
/// <param name="least">In (0, 1).</param>
public sealed class Epsilon(float least) : SamplingStep
{
    private readonly float _least = Checked(least, least is > 0 and < 1, "epsilon", "greater than 0, below 1");

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history) =>
        candidates.KeepFrom(TensorPrimitives.Max(candidates.Logits) + (float)Math.Log(_least * candidates.Total));
}
