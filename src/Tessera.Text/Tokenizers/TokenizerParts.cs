namespace Tessera.Text.Tokenizers;

/// <summary>What a tokenizer has around its model.</summary>
/// <param name="AddedTokens">Tokens that are cut out of a text first.</param>
/// <param name="Normalizer">What changes the text between them, or null.</param>
/// <param name="PreTokenizer">What cuts that text into pieces; null where it is one piece.</param>
/// <param name="PostProcessor">The ids around a text, or null for none.</param>
/// <param name="Decoder">What makes text of tokens; null where they are put together with blanks between them.</param>
/// <param name="Roles">Which tokens pad, begin and end; null to go by their names.</param>
internal sealed record TokenizerParts(
    IReadOnlyList<AddedToken> AddedTokens,
    Normalizer? Normalizer,
    PreTokenizer? PreTokenizer,
    PostProcessor? PostProcessor,
    Decoder? Decoder,
    TokenRoles? Roles)
{
    /// <summary>
    /// Special tokens that no text gives, whatever it says: the control symbols of sentencepiece. A
    /// <c>tokenizer.json</c>, which knows no such thing, has them among its added tokens.
    /// </summary>
    public IReadOnlyList<AddedToken> ControlTokens { get; init; } = [];

    /// <summary>The roles that files name, rather than those that well known names have.</summary>
    public TokenRoles NamedRoles { get; init; } = new();
}
