namespace Tessera.Generation.Sampling;

/// <summary>
/// Takes out every token that would end a run of n tokens which the sequence, its prompt included, holds already. Hugging Face's
/// <c>NoRepeatNGramLogitsProcessor</c>; O(length · n) a token.
/// <para>Paulus, Xiong, Socher 2017, <see href="https://arxiv.org/abs/1705.04304"/>, section 2.5.</para>
/// </summary>
public sealed class NoRepeatNgram : LogitsProcessor
{
    private readonly int _size;

    /// <summary>A length of runs.</summary>
    /// <param name="size">n, at least 1; with 1 no token comes twice.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is less.</exception>
    public NoRepeatNgram(int size)
    {
        if (size < 1) throw new ArgumentOutOfRangeException(nameof(size), $"no-repeat n-gram size is {size}; allowed: at least 1");
        _size = size;
    }

    /// <inheritdoc/>
    public override void Apply(Span<float> logits, TokenHistory history)
    {
        var tokens = history.Tokens;
        var before = _size - 1;
        if (tokens.Length < before) return;
        var last = tokens[^before..];
        for (var start = 0; start + before < tokens.Length; start++)
            if (tokens.Slice(start, before).SequenceEqual(last)) logits[tokens[start + before]] = float.NegativeInfinity;
    }
}
