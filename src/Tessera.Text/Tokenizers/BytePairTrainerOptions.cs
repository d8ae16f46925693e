namespace Tessera.Text.Tokenizers;

/// <summary>What <see cref="BytePairTrainer"/> should make.</summary>
/// <param name="VocabularySize">
/// How many tokens, special ones and alphabet included. At least as many as those two; fewer come out where the texts
/// have no more pairs to join.
/// </param>
/// <param name="MinimumFrequency">How often a pair must be met to be joined.</param>
/// <param name="SpecialTokens">
/// Tokens that get the first ids, from 0, and that no merge makes; null for <c>&lt;pad&gt;</c>, <c>&lt;s&gt;</c> and
/// <c>&lt;/s&gt;</c>.
/// </param>
/// <param name="PreTokenizer">What cuts texts into pieces; null for GPT-2's, on bytes.</param>
/// <param name="Normalizer">What changes texts first, or null.</param>
/// <param name="AlphabetLimit">
/// How many characters, the most frequent, may have a token each; others are dropped. Null for all. Not for byte-level
/// pre-tokenizers, whose alphabet is the 256 bytes.
/// </param>
/// <param name="TokenLengthLimit">
/// A pair that training made is joined only where the result has fewer symbols (bytes or characters) than this; null
/// for no limit. Hugging Face calls it <c>max_token_length</c>, though a token never gets that long.
/// </param>
/// <param name="UnknownToken">
/// One of <paramref name="SpecialTokens"/> that stands for characters outside the alphabet; null to drop them.
/// </param>
public sealed record BytePairTrainerOptions(
    int VocabularySize,
    int MinimumFrequency = 0,
    IReadOnlyList<string>? SpecialTokens = null,
    PreTokenizer? PreTokenizer = null,
    Normalizer? Normalizer = null,
    int? AlphabetLimit = null,
    int? TokenLengthLimit = null,
    string? UnknownToken = null)
{
    private static readonly string[] _specialTokens = ["<pad>", "<s>", "</s>"];

    /// <summary>The special tokens, those by default where none are given.</summary>
    internal IReadOnlyList<string> Special => SpecialTokens ?? _specialTokens;

    /// <summary>Throws where options contradict each other.</summary>
    internal void Check()
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(VocabularySize);
        ArgumentOutOfRangeException.ThrowIfNegative(MinimumFrequency);
        ArgumentOutOfRangeException.ThrowIfNegative(AlphabetLimit ?? 0, nameof(AlphabetLimit));
        ArgumentOutOfRangeException.ThrowIfNegative(TokenLengthLimit ?? 0, nameof(TokenLengthLimit));
        if (AlphabetLimit is not null && PreTokenizer is null or { IsByteLevel: true })
            throw new ArgumentException("The alphabet of bytes cannot be limited.", nameof(AlphabetLimit));
        foreach (var tokens in Special.GroupBy(token => token))
        {
            if (string.IsNullOrEmpty(tokens.Key))
                throw new ArgumentException("A special token has no text.", nameof(SpecialTokens));
            if (tokens.Count() > 1)
                throw new ArgumentException($"The special token '{tokens.Key}' is there twice.", nameof(SpecialTokens));
        }

        if (UnknownToken is not null && !Special.Contains(UnknownToken))
            throw new ArgumentException($"'{UnknownToken}' is not among the special tokens.", nameof(UnknownToken));
    }
}
