namespace Tessera.Generation.Sampling;

/// <summary>
/// Holds back what a sequence has said already: <see cref="DecodingOptions.RepetitionPenalty"/> and
/// <see cref="DecodingOptions.NoRepeatNgramSize"/>, in this order, as Hugging Face's <c>RepetitionPenaltyLogitsProcessor</c> and
/// <c>NoRepeatNGramLogitsProcessor</c> do.
/// </summary>
/// <param name="options">What is held back.</param>
/// <param name="vocabulary">How many tokens there are.</param>
internal sealed class Repetition(DecodingOptions options, int vocabulary)
{
    private readonly float[] _changed = new float[vocabulary];

    /// <summary>Whether anything is held back at all.</summary>
    public static bool IsIn(DecodingOptions options) => options.RepetitionPenalty != 1 || options.NoRepeatNgramSize > 0;

    /// <summary>The scores of the next token after a sequence, in memory that the next call uses again.</summary>
    /// <param name="scores">Logits or log-probabilities.</param>
    /// <param name="sequence">What the decoder has read: the prompt, too.</param>
    public ReadOnlySpan<float> Apply(ReadOnlySpan<float> scores, ReadOnlySpan<int> sequence)
    {
        scores.CopyTo(_changed);
        if (options.RepetitionPenalty != 1)
            foreach (var token in sequence) _changed[token] = scores[token] < 0 ? scores[token] * options.RepetitionPenalty : scores[token] / options.RepetitionPenalty;

        var before = options.NoRepeatNgramSize - 1;
        if (before < 0 || sequence.Length <= before) return _changed;
        var last = sequence[^before..];
        for (var start = 0; start + before < sequence.Length; start++)
            if (sequence.Slice(start, before).SequenceEqual(last)) _changed[sequence[start + before]] = float.NegativeInfinity;
        return _changed;
    }
}
