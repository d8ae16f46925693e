using System.Buffers;

namespace Tessera.Generation.Sampling;

/// <summary>
/// Makes tokens of the prompt and of what was generated less likely: their logits are divided by the penalty where above 0,
/// multiplied by it where below, once however often they were said. Hugging Face's <c>RepetitionPenaltyLogitsProcessor</c>.
/// <para>Keskar et al. 2019, <see href="https://arxiv.org/abs/1909.05858"/>, section 4.1.</para>
/// </summary>
public sealed class RepetitionPenalty : LogitsProcessor
{
    private readonly float _penalty;
    private readonly int _window;

    /// <summary>A penalty.</summary>
    /// <param name="penalty">Greater than 0; 1 changes nothing, below 1 favours what was said.</param>
    /// <param name="window">How many of the last tokens count; all where 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">One is not.</exception>
    public RepetitionPenalty(float penalty, int window = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(window);
        if (!(penalty > 0 && float.IsFinite(penalty)))
            throw new ArgumentOutOfRangeException(nameof(penalty), $"repetition penalty is {penalty}; allowed: greater than 0");
        (_penalty, _window) = (penalty, window);
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> logits, TokenHistory history)
    {
        var tokens = history.Last(_window);
        var rented = ArrayPool<float>.Shared.Rent(tokens.Length);
        // All are read before any is written, so that a token said twice is made less likely once.
        for (var i = 0; i < tokens.Length; i++) rented[i] = logits[tokens[i]];
        for (var i = 0; i < tokens.Length; i++) logits[tokens[i]] = rented[i] < 0 ? rented[i] * _penalty : rented[i] / _penalty;
        ArrayPool<float>.Shared.Return(rented);
    }
}
