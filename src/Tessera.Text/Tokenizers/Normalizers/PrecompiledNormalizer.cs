using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// A sentencepiece character map as Hugging Face's library applies it: grapheme by grapheme where a grapheme has fewer
/// than six bytes and something it starts with is in the map, else character by character.
/// </summary>
/// <param name="map">The map, or null for none.</param>
internal sealed class PrecompiledNormalizer(CharacterMap? map) : Normalizer
{
    private const int ShortGrapheme = 6;

    private protected override string Kind => "Precompiled";

    public override string Normalize(string text)
    {
        if (map is null) return text;
        var normalized = new StringBuilder(text.Length);
        for (var rest = text.AsSpan(); !rest.IsEmpty;)
        {
            var grapheme = rest[..StringInfo.GetNextTextElementLength(rest)];
            rest = rest[grapheme.Length..];
            // Each char has at least one byte.
            var isShort = grapheme.Length < ShortGrapheme && Encoding.UTF8.GetByteCount(grapheme) < ShortGrapheme;
            if (isShort && map.Find(grapheme) is { } whole)
            {
                normalized.Append(whole);
                continue;
            }

            for (var i = 0; i < grapheme.Length;)
            {
                var character = grapheme.Slice(i, char.IsHighSurrogate(grapheme[i]) ? 2 : 1);
                if (map.Find(character) is { } other) normalized.Append(other);
                else normalized.Append(character);
                i += character.Length;
            }
        }

        return normalized.ToString();
    }

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        if (map is null) writer.WriteNull("precompiled_charsmap");
        else writer.WriteBase64String("precompiled_charsmap", map.Bytes.Span);
    }

    internal static new PrecompiledNormalizer Read(JsonPart part)
    {
        if (part.Optional("precompiled_charsmap") is not { } coded || coded.Text().Length == 0) return new(null);
        try
        {
            return new PrecompiledNormalizer(new CharacterMap(Convert.FromBase64String(coded.Text())));
        }
        catch (Exception error) when (error is FormatException or ArgumentException)
        {
            throw coded.Unsupported("a whole character map in base 64", error);
        }
    }
}
