using System.Text.Json;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// JSON as Python's <c>json</c> module reads and writes it: besides what the standard has, the numbers <c>Infinity</c>,
/// <c>-Infinity</c> and <c>NaN</c>, which transformers writes itself, or as objects <c>{"__float__": "Infinity"}</c>. Comments and commas
/// at ends are passed over.
/// </summary>
internal static class PythonJson
{
    private const string FloatKey = "__float__";

    // What the constants are replaced by, as long as they, so that places in messages stay right. Infinity is a number too large, as the
    // standard's readers take it; NaN is one that nobody writes so.
    private const string PlusInfinity = "1e999   ", MinusInfinity = "-1e999   ", NotANumber = "0E0";

    private static readonly (string Constant, string Standard)[] s_constants =
        [("-Infinity", MinusInfinity), ("Infinity", PlusInfinity), ("NaN", NotANumber)];

    private static readonly JsonDocumentOptions s_options = new()
    {
        AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip,
    };

    /// <summary>Parses a text.</summary>
    /// <exception cref="JsonException">It is not JSON.</exception>
    public static JsonDocument Parse(string text) => JsonDocument.Parse(Standard(text), s_options);

    /// <summary>A number as Python has it; null where the value is none.</summary>
    public static double? Number(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number)
            return value.GetRawText() == NotANumber ? double.NaN : value.TryGetDouble(out var number) ? number : null;
        var isNamed = value.ValueKind == JsonValueKind.Object && value.TryGetProperty(FloatKey, out _)
            && value.EnumerateObject().Count() == 1;
        return !isNamed ? null : value.GetProperty(FloatKey) switch
        {
            { ValueKind: JsonValueKind.String } name when name.ValueEquals("Infinity") => double.PositiveInfinity,
            { ValueKind: JsonValueKind.String } name when name.ValueEquals("-Infinity") => double.NegativeInfinity,
            { ValueKind: JsonValueKind.String } name when name.ValueEquals("NaN") => double.NaN,
            _ => null,
        };
    }

    /// <summary>A value as its file has it.</summary>
    public static string Text(JsonElement value) => Number(value) switch
    {
        double.PositiveInfinity => "Infinity",
        double.NegativeInfinity => "-Infinity",
        double.NaN => "NaN",
        _ => value.GetRawText(),
    };

    /// <summary>The text with the constants that stand outside of its strings replaced.</summary>
    private static string Standard(string text)
    {
        if (!text.Contains("Infinity", StringComparison.Ordinal) && !text.Contains("NaN", StringComparison.Ordinal)) return text;
        var written = text.ToCharArray();
        for (var place = 0; place < written.Length; place++)
        {
            if (written[place] == '"')
            {
                place = EndOfString(text, place);
                continue;
            }

            foreach (var (constant, standard) in s_constants)
            {
                if (string.CompareOrdinal(text, place, constant, 0, constant.Length) != 0) continue;
                standard.CopyTo(0, written, place, standard.Length);
                place += constant.Length - 1;
                break;
            }
        }

        return new string(written);
    }

    private static int EndOfString(string text, int start)
    {
        var place = start + 1;
        while (place < text.Length && text[place] != '"') place += text[place] == '\\' ? 2 : 1;
        return place;
    }
}
