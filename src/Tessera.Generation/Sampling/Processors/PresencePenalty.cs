using System.Buffers;

namespace Tessera.Generation.Sampling;

/// <summary>
/// Makes tokens of the prompt and of what was generated less likely, as the API of OpenAI defines it: from their logits the presence
/// penalty is taken once, the frequency penalty as often as they came.
/// </summary>
public sealed class PresencePenalty : LogitsProcessor
{
    private readonly float _presence, _frequency;
    private readonly int _window;

    /// <summary>Penalties.</summary>
    /// <param name="presence">Finite; below 0 it favours what was said.</param>
    /// <param name="frequency">Likewise, for each time.</param>
    /// <param name="window">How many of the last tokens count; all where 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">One is not.</exception>
    public PresencePenalty(float presence, float frequency = 0, int window = 0)
    {
        if (!float.IsFinite(presence) || !float.IsFinite(frequency))
        {
            throw new ArgumentOutOfRangeException(
                nameof(presence), $"presence and frequency penalty are {presence} and {frequency}; allowed: finite numbers");
        }

        ArgumentOutOfRangeException.ThrowIfNegative(window);
        (_presence, _frequency, _window) = (presence, frequency, window);
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> logits, TokenHistory history)
    {
        var tokens = history.Last(_window);
        var rented = ArrayPool<float>.Shared.Rent(tokens.Length);
        // All are read before any is written, so that presence counts once.
        for (var i = 0; i < tokens.Length; i++) rented[i] = logits[tokens[i]];
        for (var i = 0; i < tokens.Length; i++) logits[tokens[i]] = rented[i] - _presence;
        foreach (var token in tokens) logits[token] -= _frequency;
        ArrayPool<float>.Shared.Return(rented);
    }
}
