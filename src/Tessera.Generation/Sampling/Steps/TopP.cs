namespace Tessera.Generation.Sampling;

/// <summary>Keeps the nucleus: the fewest tokens, the likeliest first, that together have a share of the probability.
/// <para>Holtzman et al. 2019, <see href="https://arxiv.org/abs/1904.09751"/>, section 3.1.</para></summary>
/// <param name="share">In (0, 1].</param>
public sealed class TopP(float share) : SamplingStep
{
    private readonly float _share = Checked(share, share is > 0 and <= 1, "top-p", "greater than 0, at most 1");

    /// <summary>Most nuclei end within so many tokens, which are found without sorting all.</summary>
    private const int UsualNucleus = 64;

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history)
    {
        if (_share >= 1) return;
        var wanted = _share * candidates.Total;
        for (var ordered = UsualNucleus; ; ordered = candidates.Count)
        {
            candidates.Order(ordered);
            var (kept, sum) = (0, 0.0);
            var weights = candidates.Weights[..Math.Min(ordered, candidates.Count)];
            while (kept < weights.Length && (kept == 0 || sum < wanted)) sum += weights[kept++];
            if (sum < wanted && weights.Length < candidates.Count) continue;
            candidates.Take(kept);
            return;
        }
    }
}
