namespace Tessera.Generation.Sampling;

/// <summary>What a sequence is made of where its next token is to be chosen.</summary>
public readonly ref struct TokenHistory
{
    /// <summary>The tokens so far.</summary>
    /// <param name="tokens">What the decoder has read, the prompt first; for an encoder-decoder its begin token is the prompt.</param>
    /// <param name="promptLength">How many of them are the prompt; 0 to all.</param>
    /// <param name="sequence">Which of the sequences that are decoded with one seed.</param>
    /// <exception cref="ArgumentOutOfRangeException">The prompt is longer than the tokens.</exception>
    public TokenHistory(ReadOnlySpan<int> tokens, int promptLength, int sequence = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(promptLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(promptLength, tokens.Length);
        Tokens = tokens;
        (PromptLength, Sequence) = (promptLength, sequence);
    }

    /// <summary>Prompt and generated tokens.</summary>
    public ReadOnlySpan<int> Tokens { get; }

    /// <summary>How many of <see cref="Tokens"/> are the prompt.</summary>
    public int PromptLength { get; }

    /// <summary>Which of the sequences that are decoded with one seed; each has random numbers of its own.</summary>
    public int Sequence { get; }

    /// <summary>The generated tokens alone.</summary>
    public ReadOnlySpan<int> Generated => Tokens[PromptLength..];

    /// <summary>The last tokens, of the prompt too.</summary>
    /// <param name="count">How many; all where 0, or where there are no more.</param>
    public ReadOnlySpan<int> Last(int count) => count == 0 || count >= Tokens.Length ? Tokens : Tokens[^count..];

    /// <summary>Which token of the sequence is to be chosen, from 0: as many have been generated.</summary>
    public int Position => Tokens.Length - PromptLength;
}
