using System.Globalization;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// What a character is to the patterns that cut text: <c>\p{L}</c>, <c>\p{N}</c>, <c>\s</c> or none of them.
/// </summary>
internal enum CharacterKind : byte
{
    Other,
    Letter,
    Number,
    Space,
}

/// <summary>
/// Classes of characters in UTF-16 text, where those above U+FFFF take two places. The text must be well formed.
/// </summary>
internal static class Characters
{
    private static readonly CharacterKind[] _kinds = [.. Enumerable.Range(0, 0x10000).Select(KindOf)];

    /// <summary>The kind of the character at a place, and how many <c>char</c>s it takes.</summary>
    public static CharacterKind KindAt(ReadOnlySpan<char> text, int index, out int length)
    {
        var character = text[index];
        length = 1;
        if (!char.IsHighSurrogate(character)) return _kinds[character];
        length = 2;
        return KindOf(char.ConvertToUtf32(character, text[index + 1]));
    }

    /// <summary>The end of the run of characters of one kind that starts at a place, which may be empty.</summary>
    public static int EndOfRun(ReadOnlySpan<char> text, int index, CharacterKind kind)
    {
        while (index < text.Length && KindAt(text, index, out var length) == kind) index += length;
        return index;
    }

    /// <summary>How many characters a well formed text has.</summary>
    public static int Count(ReadOnlySpan<char> text)
    {
        var count = text.Length;
        foreach (var character in text)
            if (char.IsLowSurrogate(character)) count--;
        return count;
    }

    /// <summary>
    /// Whether a regular expression of Rust has the character in <c>\w</c>: letters, marks, digits, connectors, joiners
    /// and the circled letters that Unicode calls alphabetic.
    /// </summary>
    public static bool IsWord(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation => true,
        UnicodeCategory.Format => rune.Value is 0x200C or 0x200D,
        UnicodeCategory.OtherSymbol => rune.Value is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149)
            or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
        _ => false,
    };

    /// <summary>
    /// The same text with U+FFFD for each surrogate that has no partner; the very same where there is none.
    /// </summary>
    public static ReadOnlySpan<char> WellFormed(ReadOnlySpan<char> text)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0) return text;
        var builder = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes()) builder.Append(rune);
        return builder.ToString();
    }

    private static CharacterKind KindOf(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint) switch
    {
        <= UnicodeCategory.OtherLetter => CharacterKind.Letter,
        >= UnicodeCategory.DecimalDigitNumber and <= UnicodeCategory.OtherNumber => CharacterKind.Number,
        _ => codePoint < 0x10000 && char.IsWhiteSpace((char)codePoint) ? CharacterKind.Space : CharacterKind.Other,
    };
}
