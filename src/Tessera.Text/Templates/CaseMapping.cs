using System.Globalization;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Letters and their cases as Python has them: Unicode's full mappings, where one letter may become several.</summary>
internal static class CaseMapping
{
    public static string Upper(string text) => string.Concat(text.EnumerateRunes().Select(Upper));

    /// <summary>In lower case; a sigma that ends a word is a final one.</summary>
    public static string Lower(string text)
    {
        if (!text.Contains('Σ') && !text.Contains('İ')) return text.ToLowerInvariant();
        var runes = text.EnumerateRunes().ToList();
        return string.Concat(Enumerable.Range(0, runes.Count).Select(i => LowerAt(runes, i)));
    }

    /// <summary>The first letter as it begins a title, all others in lower case.</summary>
    public static string Capitalize(string text)
    {
        if (text.Length == 0) return text;
        var first = text.EnumerateRunes().First();
        return TitleCase(first) + Lower(text[first.Utf16SequenceLength..]);
    }

    /// <summary>The first letter in upper case, all others in lower case: what Jinja's title filter does to a word.</summary>
    public static string UpperFirst(string text)
    {
        if (text.Length == 0) return text;
        var start = text.EnumerateRunes().First().Utf16SequenceLength;
        return Upper(text[..start]) + Lower(text[start..]);
    }

    /// <summary>Every letter that follows none as it begins a title, all others in lower case.</summary>
    public static string Title(string text)
    {
        var (result, inWord, runes) = (new StringBuilder(text.Length), false, text.EnumerateRunes().ToList());
        for (var i = 0; i < runes.Count; i++)
        {
            result.Append(inWord ? LowerAt(runes, i) : TitleCase(runes[i]));
            inWord = IsCased(runes[i]);
        }

        return result.ToString();
    }

    /// <summary>Upper case in lower case and the other way round.</summary>
    public static string Swap(string text) =>
        string.Concat(text.EnumerateRunes().Select(rune => IsUpper(rune) ? Lower(rune) : IsLower(rune) ? Upper(rune) : rune.ToString()));

    /// <summary>What texts that differ in case alone have in common.</summary>
    public static string Fold(string text) => string.Concat(text.EnumerateRunes().Select(rune =>
        rune.Value is 'ı' ? "ı" : string.Concat(Upper(rune).EnumerateRunes().Select(Lower))));

    public static bool All(string text, Func<Rune, bool> holds) => text.Length > 0 && text.EnumerateRunes().All(holds);

    /// <summary>A decimal digit, or one that is raised or in a circle.</summary>
    public static bool IsDigit(Rune rune) => CharUnicodeInfo.GetDigitValue(rune.ToString(), 0) >= 0;

    public static bool IsNumeric(Rune rune) => CharUnicodeInfo.GetNumericValue(rune.ToString(), 0) != -1;

    public static bool IsUpper(string text) =>
        text.EnumerateRunes().Any(IsUpper) && !text.EnumerateRunes().Any(rune => IsLower(rune) || IsTitle(rune));

    public static bool IsLower(string text) =>
        text.EnumerateRunes().Any(IsLower) && !text.EnumerateRunes().Any(rune => IsUpper(rune) || IsTitle(rune));

    /// <summary>Whether every word begins with its only capital.</summary>
    public static bool IsTitle(string text)
    {
        var (inWord, any) = (false, false);
        foreach (var rune in text.EnumerateRunes())
        {
            var begins = IsUpper(rune) || IsTitle(rune);
            if (begins ? inWord : IsLower(rune) && !inWord) return false;
            inWord = IsCased(rune);
            any |= inWord;
        }

        return any;
    }

    private static bool IsCased(Rune rune) => IsUpper(rune) || IsLower(rune) || IsTitle(rune);

    private static bool IsTitle(Rune rune) => Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter;

    /// <summary>Unicode's Uppercase: capital letters, Roman numbers and letters in circles.</summary>
    private static bool IsUpper(Rune rune) => Rune.IsUpper(rune) || rune.Value is (>= 0x2160 and <= 0x216F) or (>= 0x24B6 and <= 0x24CF);

    /// <summary>Unicode's Lowercase: small letters, ordinals, raised letters, Roman numbers and letters in circles.</summary>
    private static bool IsLower(Rune rune) => Rune.IsLower(rune)
        || rune.Value is 0xAA or 0xBA or (>= 0x2B0 and <= 0x2B8) or (>= 0x2E0 and <= 0x2E4) or (>= 0x1D2C and <= 0x1D6A) or 0x2071 or 0x207F
            or (>= 0x2090 and <= 0x209C) or (>= 0x2170 and <= 0x217F) or (>= 0x24D0 and <= 0x24E9);

    private static string LowerAt(List<Rune> runes, int place) =>
        runes[place].Value != 'Σ' ? Lower(runes[place]) : EndsWord(runes, place) ? "ς" : "σ";

    private static bool EndsWord(List<Rune> runes, int place) =>
        runes.Take(place).Reverse().SkipWhile(IsIgnored).Take(1).Any(IsCased)
        && !runes.Skip(place + 1).SkipWhile(IsIgnored).Take(1).Any(IsCased);

    /// <summary>What stands within words without being a letter of them.</summary>
    private static bool IsIgnored(Rune rune) => rune.Value is '\'' or '.' or ':' or '^' or '`' or 0xA8 or 0xAD or 0xB7 or 0x2019
        || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format
            or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;

    private static string Lower(Rune rune) => rune.Value == 'İ' ? "i\u0307" : Rune.ToLowerInvariant(rune).ToString();

    /// <summary>A letter as it begins a title: of several only the first is a capital, and those that are two in one have a form for
    /// it.</summary>
    private static string TitleCase(Rune rune)
    {
        if (rune.Value is >= 0x1C4 and <= 0x1CC) return ((char)(0x1C5 + ((rune.Value - 0x1C4) / 3 * 3))).ToString();
        if (rune.Value is >= 0x1F1 and <= 0x1F3) return "\u01F2";
        var upper = Upper(rune);
        var start = upper.EnumerateRunes().First().Utf16SequenceLength;
        return upper[..start] + Lower(upper[start..]);
    }

    private static string Upper(Rune rune) => rune.Value switch
    {
        < 0x80 => Rune.ToUpperInvariant(rune).ToString(),
        0xDF => "SS",
        0x131 => "I",
        0x149 => "\u02BCN",
        0x1F0 => "J\u030C",
        0x587 => "\u0535\u0552",
        >= 0x1E96 and <= 0x1E99 => "HTWY"[rune.Value - 0x1E96] + "\u0331\u0308\u030A\u030A"[(rune.Value - 0x1E96)..][..1],
        0x1E9A => "A\u02BE",
        0xFB00 => "FF",
        0xFB01 => "FI",
        0xFB02 => "FL",
        0xFB03 => "FFI",
        0xFB04 => "FFL",
        0xFB05 or 0xFB06 => "ST",
        _ => Rune.ToUpperInvariant(rune).ToString(),
    };
}
