using System.Text;

namespace Tessera.Evaluation.Metrics;

/// <summary>
/// Blanks as Python's <c>str.split</c> and <c>str.strip</c> see them, which is how the reference tools see them: .NET's
/// white space and the four separators U+001C to U+001F.
/// </summary>
internal static class Blanks
{
    /// <summary>Whether a character separates tokens.</summary>
    public static bool IsBlank(Rune rune) => Rune.IsWhiteSpace(rune) || rune.Value is >= 0x1C and <= 0x1F;

    /// <inheritdoc cref="IsBlank(Rune)"/>
    public static bool IsBlank(char character) => char.IsWhiteSpace(character) || character is >= '\x1C' and <= '\x1F';

    /// <summary>The text without blanks at its end.</summary>
    public static string TrimEnd(string text)
    {
        var end = text.Length;
        while (end > 0 && IsBlank(text[end - 1])) end--;
        return text[..end];
    }

    /// <summary>The text without blanks at either end.</summary>
    public static string Trim(string text)
    {
        var start = 0;
        while (start < text.Length && IsBlank(text[start])) start++;
        return TrimEnd(text[start..]);
    }

    /// <summary>The runs of characters between blanks, none of them empty.</summary>
    public static string[] Split(string text)
    {
        var tokens = new List<string>();
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && !IsBlank(text[i])) continue;
            if (i > start) tokens.Add(text[start..i]);
            start = i + 1;
        }

        return [.. tokens];
    }
}
