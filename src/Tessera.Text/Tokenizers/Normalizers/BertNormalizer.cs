using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// BERT's: control characters out and white space to blanks, blanks around Chinese characters, accents off, lower case;
/// each can be turned off. Devlin et al. 2018, <see href="https://arxiv.org/abs/1810.04805"/>, and its
/// <c>tokenization.py</c>.
/// </summary>
/// <param name="stripsAccents">Null for "where case is folded".</param>
internal sealed class BertNormalizer(bool cleans, bool isolatesChinese, bool? stripsAccents, bool lowers) : Normalizer
{
    private static readonly LowercaseNormalizer _lower = new();

    private protected override string Kind => "BertNormalizer";

    public override string Normalize(string text)
    {
        if (cleans || isolatesChinese) text = Cleaned(text);
        if (stripsAccents ?? lowers)
            text = StripAccentsNormalizer.Without(
                UnicodeForm.D.Apply(text), category => category == UnicodeCategory.NonSpacingMark);
        return lowers ? _lower.Normalize(text) : text;
    }

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("clean_text", cleans);
        writer.WriteBoolean("handle_chinese_chars", isolatesChinese);
        if (stripsAccents is { } strips) writer.WriteBoolean("strip_accents", strips);
        else writer.WriteNull("strip_accents");
        writer.WriteBoolean("lowercase", lowers);
    }

    internal static new BertNormalizer Read(JsonPart part) => new(
        part.Flag("clean_text", otherwise: true),
        part.Flag("handle_chinese_chars", otherwise: true),
        part.Optional("strip_accents") is null ? null : part.Flag("strip_accents", otherwise: false),
        part.Flag("lowercase", otherwise: true));

    private string Cleaned(string text)
    {
        var cleaned = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (cleans && IsUnwanted(rune)) continue;
            if (cleans && Rune.IsWhiteSpace(rune)) cleaned.Append(' ');
            else if (isolatesChinese && IsChinese(rune.Value)) cleaned.Append(' ').Append(rune).Append(' ');
            else cleaned.Append(rune);
        }

        return cleaned.ToString();
    }

    private static bool IsUnwanted(Rune rune) => rune.Value is 0 or 0xFFFD
        || (rune.Value is not ('\t' or '\n' or '\r') && Rune.GetUnicodeCategory(rune)
            is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse);

    // The blocks of CJK ideographs that BERT names; kana and Hangul are written with blanks or without as others are.
    private static bool IsChinese(int code) => code
        is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF)
        or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
