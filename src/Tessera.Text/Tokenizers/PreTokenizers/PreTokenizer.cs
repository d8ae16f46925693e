using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>A part of a text that a model turns into tokens by itself.</summary>
internal readonly record struct Piece(int Start, int Length);

/// <summary>
/// Cuts text into the pieces that no token crosses; the <c>pre_tokenizer</c> of <c>tokenizer.json</c>. Files may hold
/// more kinds than those that can be made here: <see cref="ByteLevelPreTokenizer"/>,
/// <see cref="SplitPreTokenizer"/>, <see cref="WhitespacePreTokenizer"/>,
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

    /// <summary>The regular expressions that cut, one after the other, each match and what lies between being a piece; null where it
    /// cuts in other ways.</summary>
    internal virtual IReadOnlyList<string>? Patterns => null;

    /// <summary>Whether <see cref="Prepared"/> may give another text.</summary>
    internal virtual bool ChangesText => false;

    /// <summary>The text to cut, such as one with a blank before it where that is wanted and missing.</summary>
    /// <param name="text">A well formed text.</param>
    /// <param name="atStart">Whether it begins the whole that is encoded.</param>
    internal virtual ReadOnlySpan<char> Prepared(ReadOnlySpan<char> text, bool atStart) => text;

    /// <summary>Prepares a text and cuts it.</summary>
    /// <param name="text">A well formed text.</param>
    /// <param name="atStart">Whether it begins the whole that is encoded.</param>
    /// <param name="pieces">Where the pieces go, in order.</param>
    /// <returns>The text that the pieces are of.</returns>
    internal virtual ReadOnlySpan<char> Run(ReadOnlySpan<char> text, bool atStart, List<Piece> pieces)
    {
        text = Prepared(text, atStart);
        Cut(text, 0, pieces);
        return text;
    }

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
        "WhitespaceSplit" => CharacterPreTokenizer.Space,
        "BertPreTokenizer" => CharacterPreTokenizer.Bert,
        "Digits" => CharacterPreTokenizer.ReadDigits(part),
        "Punctuation" => CharacterPreTokenizer.ReadPunctuation(part),
        "CharDelimiterSplit" => CharacterPreTokenizer.ReadDelimiter(part),
        "Metaspace" => MetaspacePreTokenizer.Read(part),
        "Sequence" => PreTokenizerSequence.Read(part),
        _ => throw part.Required("type").Unsupported(
            "ByteLevel, Split, Whitespace, WhitespaceSplit, BertPreTokenizer, Digits, Punctuation, CharDelimiterSplit, "
            + "Metaspace or Sequence"),
    };
}
