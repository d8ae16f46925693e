using System.Globalization;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Takes out marks that stand by themselves. A character that has its mark within stays: form D comes before this.
/// </summary>
internal sealed class StripAccentsNormalizer : Normalizer
{
    private protected override string Kind => "StripAccents";

    public override string Normalize(string text) =>
        Without(text, category => category is >= UnicodeCategory.NonSpacingMark and <= UnicodeCategory.EnclosingMark);

    /// <summary>The text without characters of some categories.</summary>
    internal static string Without(string text, Func<UnicodeCategory, bool> unwanted)
    {
        // The first mark of Unicode is U+0300.
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', '\u02FF') < 0) return text;
        var rest = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            if (!unwanted(Rune.GetUnicodeCategory(rune))) rest.Append(rune);
        return rest.ToString();
    }
}
