using Tessera.Tensors;

namespace Tessera.Generation.Sampling;

/// <summary>
/// A random token of the distribution <c>softmax(logits)</c>, after rules have changed it or cut it off, one after the other. The random
/// number is a function of seed, sequence and position alone.
/// </summary>
public sealed class MultinomialSampler : Sampler
{
    private readonly SamplingStep[] _steps;
    private readonly CounterRandom _random;
    private readonly Candidates _candidates = new();

    /// <summary>A sampler.</summary>
    /// <param name="options">The rules, their order, and the seed; the penalties that stand before all rules are not looked at:
    /// <see cref="Sampler.Processors"/> are.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public MultinomialSampler(SamplingOptions options)
        : this(options.ValidChain().Steps, options.Seed)
    {
    }

    /// <summary>A sampler of rules of one's own.</summary>
    /// <param name="steps">In their order.</param>
    /// <param name="seed">Where the random numbers come from.</param>
    public MultinomialSampler(IEnumerable<SamplingStep> steps, ulong seed) =>
        (_steps, _random) = ([.. steps], new CounterRandom(seed));

    /// <summary>What changes the distribution, in this order.</summary>
    public IReadOnlyList<SamplingStep> Steps => _steps;

    /// <inheritdoc/>
    protected override int Pick(ReadOnlySpan<float> logits, TokenHistory history)
    {
        if (_candidates.Load(logits) is { } nan) return nan;
        foreach (var step in _steps) step.Apply(_candidates, history);
        var total = _candidates.Total;
        var weights = _candidates.Weights;
        var place = Draw(weights, total * _random.Derive((ulong)history.Sequence).Uniform((ulong)history.Position));
        foreach (var step in _steps) step.Drawn(weights[place] / total, history);
        return _candidates.Tokens[place];
    }

    /// <summary>The place where the sum of the weights passes a target.</summary>
    private static int Draw(ReadOnlySpan<float> weights, double target)
    {
        for (var place = 0; place < weights.Length; place++)
            if ((target -= weights[place]) < 0) return place;
        // Rounding must not reach what cannot come.
        return weights.LastIndexOfAnyExcept(0);
    }
}
