namespace Tessera.Generation.Sampling;

/// <summary>Keeps the k likeliest tokens.
/// <para>Fan, Lewis, Dauphin 2018, <see href="https://arxiv.org/abs/1805.04833"/>, section 5.4.</para></summary>
/// <param name="k">At least 1.</param>
public sealed class TopK(int k) : SamplingStep
{
    private readonly int _k = Checked(k, k >= 1, "top-k", "at least 1");

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history)
    {
        if (_k >= candidates.Count) return; // nothing is taken away, nor put in another order
        candidates.Order(_k);
        candidates.Take(_k);
    }
}
