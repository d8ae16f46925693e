using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>A part of a text that a model turns into tokens by itself.</summary>
internal readonly record struct Piece(int Start, int Length);

/// <summary>
/// Cuts text into the pieces that no token crosses; the <c>pre_tokenizer</c> of <c>tokenizer.json</c>. Kinds:
/// <see cref="ByteLevelPreTokenizer"/>, <see cref="SplitPreTokenizer"/>, <see cref="WhitespacePreTokenizer"/>,
/// <see cref="PreTokenizerSequence"/>.
/// </summary>
public abstract class PreTokenizer
{
    private protected PreTokenizer()
    {
    }

    /// <summary>
    /// Whether tokens are written in <see cref="ByteAlphabet"/> and a piece starts as the bytes of its UTF-8.
    /// </summary>
    internal virtual bool IsByteLevel => false;

    /// <summary>Whether a blank goes before a text that does not start with one.</summary>
    internal virtual bool AddsPrefixSpace => false;

    /// <summary>The text to cut: with a blank before it where one is wanted and missing.</summary>
    internal ReadOnlySpan<char> Prefixed(ReadOnlySpan<char> text) =>
        AddsPrefixSpace && !text.IsEmpty && text[0] != ' ' ? $" {text}" : text;

    /// <summary>Adds the pieces of a well formed text, in order.</summary>
    /// <param name="text">The text to cut.</param>
    /// <param name="offset">What is added to every <see cref="Piece.Start"/>.</param>
    /// <param name="pieces">Where the pieces go.</param>
    internal abstract void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces);

    /// <summary>Writes it as an object of <c>tokenizer.json</c>.</summary>
    internal abstract void Write(Utf8JsonWriter writer);

    /// <summary>Reads the object that <see cref="Write"/> writes.</summary>
    internal static PreTokenizer Read(JsonPart part) => part.Required("type").Text() switch
    {
        "ByteLevel" => ByteLevelPreTokenizer.Read(part),
        "Split" => SplitPreTokenizer.Read(part),
        "Whitespace" => new WhitespacePreTokenizer(),
        "Sequence" => PreTokenizerSequence.Read(part),
        _ => throw part.Required("type").Unsupported("ByteLevel, Split, Whitespace or Sequence"),
    };
}
