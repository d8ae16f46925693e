namespace Tessera.Generation.Sampling;

/// <summary>
/// Keeps a text's surprise near a target: tokens more surprising (−log₂ p, in bits) than a limit are taken away, and the limit moves by how
/// far the token drawn was from the target. The algorithm's second version, which needs no estimate of the distribution's tail.
/// <para>Basu et al. 2020, <see href="https://arxiv.org/abs/2007.14966"/>.</para>
/// </summary>
/// <param name="target">τ, bits a token; greater than 0. 3 to 5 are usual.</param>
/// <param name="rate">η, how fast the limit moves; greater than 0. 0.1 is usual.</param>
public sealed class Mirostat(float target, float rate) : SamplingStep
{
    private readonly float _target = Checked(target, target > 0 && float.IsFinite(target), "mirostat", "greater than 0");
    private readonly float _rate = Checked(rate, rate > 0 && float.IsFinite(rate), "mirostat rate", "greater than 0");

    // The limit before each position of each sequence, so that a sequence that went back finds its own.
    private readonly Dictionary<int, List<float>> _limits = [];

    // Of the probability, what was left by the last application: surprise is that of the distribution as it came.
    private double _share = 1;

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history)
    {
        var limit = Limit(history);
        candidates.Order(candidates.Count);
        var weights = candidates.Weights;
        var (total, kept) = (candidates.Total, 0);
        while (kept < weights.Length && -Math.Log2(weights[kept] / total) <= limit) kept++;
        candidates.Take(kept);
        _share = candidates.Total / total;
    }

    /// <inheritdoc/>
    public override void Drawn(double probability, TokenHistory history)
    {
        var limit = Limit(history);
        var limits = _limits[history.Sequence];
        limits.RemoveRange(history.Position + 1, limits.Count - history.Position - 1);
        limits.Add(limit - (_rate * ((float)-Math.Log2(probability * _share) - _target)));
    }

    /// <summary>The limit where a token is to be drawn; where the sequence's beginning was not drawn here, the first one.</summary>
    private float Limit(TokenHistory history)
    {
        if (!_limits.TryGetValue(history.Sequence, out var limits)) _limits[history.Sequence] = limits = [];
        while (limits.Count <= history.Position) limits.Add(2 * _target);
        return limits[history.Position];
    }
}
