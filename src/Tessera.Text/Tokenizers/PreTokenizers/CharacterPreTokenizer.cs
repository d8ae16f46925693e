using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Cuts at single characters of a class: the kinds <c>Digits</c>, <c>Punctuation</c>, <c>WhitespaceSplit</c>,
/// <c>CharDelimiterSplit</c> and <c>BertPreTokenizer</c> of <c>tokenizer.json</c>.
/// </summary>
internal sealed class CharacterPreTokenizer : PreTokenizer
{
    private readonly Func<Rune, bool> _isMatch;
    private readonly SplitBehavior _behavior;
    private readonly bool _dropsSpace;
    private readonly Action<Utf8JsonWriter> _writeMembers;

    private CharacterPreTokenizer(
        Func<Rune, bool> isMatch, SplitBehavior behavior, bool dropsSpace, Action<Utf8JsonWriter> writeMembers)
    {
        (_isMatch, _behavior, _dropsSpace, _writeMembers) = (isMatch, behavior, dropsSpace, writeMembers);
    }

    /// <summary>White space is dropped, each sign of punctuation is a piece, as BERT has it.</summary>
    public static CharacterPreTokenizer Bert { get; } = new(
        IsPunctuation, SplitBehavior.Isolated, dropsSpace: true, writer => writer.WriteString("type", "BertPreTokenizer"));

    /// <summary>White space is dropped.</summary>
    public static CharacterPreTokenizer Space { get; } = new(
        Rune.IsWhiteSpace, SplitBehavior.Removed, dropsSpace: false, writer => writer.WriteString("type", "WhitespaceSplit"));

    internal override IReadOnlyList<string>? Patterns =>
        _isMatch == Rune.IsNumber && _behavior == SplitBehavior.Isolated ? [@"\p{N}"] : null;

    internal override void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        if (!_dropsSpace)
        {
            CutAt(text, _isMatch, _behavior, offset, pieces);
            return;
        }

        var words = new List<Piece>();
        CutAt(text, Rune.IsWhiteSpace, SplitBehavior.Removed, 0, words);
        foreach (var (start, length) in words)
            CutAt(text.Slice(start, length), _isMatch, _behavior, offset + start, pieces);
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        _writeMembers(writer);
        writer.WriteEndObject();
    }

    /// <summary><c>Digits</c>: runs of digits, or each, apart from the rest.</summary>
    internal static CharacterPreTokenizer ReadDigits(JsonPart part)
    {
        var single = part.Flag("individual_digits", otherwise: false);
        var behavior = single ? SplitBehavior.Isolated : SplitBehavior.Contiguous;
        return new CharacterPreTokenizer(Rune.IsNumber, behavior, dropsSpace: false, writer =>
        {
            writer.WriteString("type", "Digits");
            writer.WriteBoolean("individual_digits", single);
        });
    }

    /// <summary><c>Punctuation</c>.</summary>
    internal static CharacterPreTokenizer ReadPunctuation(JsonPart part)
    {
        var behavior = part.Optional("behavior") is { } named ? Splitting.Read(named) : SplitBehavior.Isolated;
        return new CharacterPreTokenizer(IsPunctuation, behavior, dropsSpace: false, writer =>
        {
            writer.WriteString("type", "Punctuation");
            Splitting.Write(writer, behavior);
        });
    }

    /// <summary><c>CharDelimiterSplit</c>: one character is dropped.</summary>
    internal static CharacterPreTokenizer ReadDelimiter(JsonPart part)
    {
        var text = part.Required("delimiter");
        var whole = Rune.TryGetRuneAt(text.Text() + "\0", 0, out var delimiter)
            && delimiter.Utf16SequenceLength == text.Text().Length;
        if (!whole) throw text.Wrong("one character");
        return new CharacterPreTokenizer(rune => rune == delimiter, SplitBehavior.Removed, dropsSpace: false, writer =>
        {
            writer.WriteString("type", "CharDelimiterSplit");
            writer.WriteString("delimiter", delimiter.ToString());
        });
    }

    private static void CutAt(
        ReadOnlySpan<char> text, Func<Rune, bool> isMatch, SplitBehavior behavior, int offset, List<Piece> pieces)
    {
        var matches = new List<Piece>();
        var index = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if (isMatch(rune)) matches.Add(new Piece(index, rune.Utf16SequenceLength));
            index += rune.Utf16SequenceLength;
        }

        Splitting.Add(text.Length, matches, behavior, inverted: false, offset, pieces);
    }

    // Of ASCII all signs, also those that Unicode calls symbols.
    private static bool IsPunctuation(Rune rune) => rune.IsAscii
        ? char.IsPunctuation((char)rune.Value) || char.IsSymbol((char)rune.Value)
        : Rune.GetUnicodeCategory(rune) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;
}
