using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Upper and lower case as Python has it: Unicode's full mappings, where one letter may become several.</summary>
internal static class CaseMapping
{
    public static string Upper(string text) => string.Concat(text.EnumerateRunes().Select(Upper));

    public static string Lower(string text) => text.Replace("İ", "i\u0307", StringComparison.Ordinal).ToLowerInvariant();

    /// <summary>The first letter as it begins a title, all others in lower case.</summary>
    public static string Capitalize(string text)
    {
        if (text.Length == 0) return text;
        var first = text.EnumerateRunes().First();
        var upper = Upper(first);
        var start = upper.EnumerateRunes().First().Utf16SequenceLength;
        return upper[..start] + Lower(upper[start..]) + Lower(text[first.Utf16SequenceLength..]);
    }

    /// <summary>The first letter in upper case, all others in lower case: what Jinja's title filter does to a word.</summary>
    public static string UpperFirst(string text)
    {
        if (text.Length == 0) return text;
        var start = text.EnumerateRunes().First().Utf16SequenceLength;
        return Upper(text[..start]) + Lower(text[start..]);
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
