namespace Tessera.Generation.Sampling;

/// <summary>Adds a number of its own to the logits of some tokens: −100 all but forbids one, 100 all but demands it.</summary>
public sealed class LogitBias : LogitsProcessor
{
    // Beyond it, differences between logits are lost.
    private const float Greatest = 1000;

    private readonly (int Token, float Bias)[] _biases;

    /// <summary>Biases.</summary>
    /// <param name="biases">Of tokens, by their ids; −1,000 to 1,000.</param>
    /// <exception cref="ArgumentException">An id is negative, or a bias out of its range.</exception>
    public LogitBias(IReadOnlyDictionary<int, float> biases)
    {
        foreach (var (token, bias) in biases)
            if (token < 0 || !(float.Abs(bias) <= Greatest))
                throw new ArgumentException(
                    $"the logit bias of token {token} is {bias}; allowed: -{Greatest} to {Greatest}, of a token from 0 on");
        _biases = [.. biases.Select(one => (one.Key, one.Value))];
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The vocabulary lacks a token that has a bias.</exception>
    public override void Apply(Span<float> logits, TokenHistory history)
    {
        foreach (var (token, bias) in _biases)
        {
            if (token >= logits.Length)
                throw new ArgumentException($"there is a logit bias for token {token}; the model's are 0 to {logits.Length - 1}");
            logits[token] += bias;
        }
    }
}
