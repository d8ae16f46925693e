using Tessera.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>
/// XTC: now and then takes away the likeliest tokens, all that reach a probability but the least likely of them, so that a text leaves
/// the beaten track where there is more than one good way on.
/// <para>Weidmann 2024, <see href="https://github.com/oobabooga/text-generation-webui/pull/6335"/>.</para>
/// </summary>
/// <param name="probability">How often; in (0, 1].</param>
/// <param name="threshold">From which probability on a token is a good way; above 0, at most 0.5.</param>
/// <param name="seed">Where its random numbers come from; they are others than those that draw the token.</param>
public sealed class ExcludeTopChoices(float probability, float threshold, ulong seed) : SamplingStep
{
    private readonly float _probability = Checked(probability, probability is > 0 and <= 1, "xtc probability", "greater than 0, at most 1");
    private readonly float _threshold = Checked(threshold, threshold is > 0 and <= 0.5f, "xtc threshold", "greater than 0, at most 0.5");
    private readonly CounterRandom _random = new CounterRandom(seed).Derive("xtc");

    /// <inheritdoc/>
    public override void Apply(Candidates candidates, TokenHistory history)
    {
        if (_random.Derive((ulong)history.Sequence).Uniform((ulong)history.Position) >= _probability) return;
        var least = _threshold * candidates.Total;
        candidates.Order((int)Math.Min(candidates.Count, (1 / _threshold) + 1)); // more cannot reach it
        var weights = candidates.Weights;
        var good = 0;
        while (good < weights.Length && weights[good] >= least) good++;
        if (good > 1) candidates.Skip(good - 1);
    }
}
