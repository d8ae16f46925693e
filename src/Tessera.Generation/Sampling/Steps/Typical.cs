namespace Tessera.Generation.Sampling;

/// <summary>
/// Keeps the tokens whose surprise, −log p, is nearest to the expected one, the entropy: as few as together have a share of the
/// probability, and those that are as near as the last of them.
/// <para>Meister et al. 2022, <see href="https://arxiv.org/abs/2202.00666"/>, section 3.</para>
/// </summary>
/// <param name="share">In (0, 1).</param>
public sealed class Typical(float share) : SamplingStep
{
    private readonly float _share = Checked(share, share is > 0 and < 1, "typical-p", "greater than 0, below 1");
    private float[] _distances = [];

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history)
    {
        if (_distances.Length < candidates.Count) _distances = new float[candidates.Count];
        var distances = _distances.AsSpan(0, candidates.Count);
        var weights = candidates.Weights;
        var total = candidates.Total;
        var (logTotal, entropy) = ((float)Math.Log(total), 0.0);
        for (var i = 0; i < weights.Length; i++)
        {
            // What has no weight is infinitely far away.
            distances[i] = weights[i] == 0 ? float.PositiveInfinity : logTotal - MathF.Log(weights[i]);
            if (weights[i] > 0) entropy += weights[i] / total * distances[i];
        }

        foreach (ref var distance in distances) distance = MathF.Abs(distance - (float)entropy);
        candidates.OrderBy(distances);
        distances.Sort();
        weights = candidates.Weights;
        var (kept, sum) = (0, 0.0);
        while (kept < weights.Length && (kept == 0 || sum < _share * total)) sum += weights[kept++];
        while (kept < weights.Length && distances[kept] == distances[kept - 1]) kept++;
        candidates.Take(kept);
    }
}
