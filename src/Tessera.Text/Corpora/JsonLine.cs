using System.Text.Json;

namespace Tessera.Text.Corpora;

/// <summary>Reads a line with a JSON object, naming the place of what is wrong.</summary>
internal static class JsonLine
{
    /// <summary>Makes something of the object that a line holds.</summary>
    /// <param name="line">The line.</param>
    /// <param name="place">Its file and number, for messages.</param>
    /// <param name="read">Makes it.</param>
    /// <exception cref="InvalidDataException">The line is not JSON, or no object.</exception>
    public static T Read<T>(string line, string place, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object
                ? read(root)
                : throw new InvalidDataException($"{place}: expected a JSON object, found {Describe(root)}");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{place}: not JSON: {error.Message}", error);
        }
    }

    /// <summary>The text of a field.</summary>
    public static string Required(JsonElement root, string field, string place) =>
        Optional(root, field, place) ?? throw new InvalidDataException($"{place}: the field \"{field}\" is missing");

    /// <summary>The text of a field; null where there is none.</summary>
    public static string? Optional(JsonElement root, string field, string place)
    {
        if (!root.TryGetProperty(field, out var value)) return null;
        return value.ValueKind == JsonValueKind.String
            ? Text(value, field, place)
            : throw new InvalidDataException($"{place}: the field \"{field}\" must be a string, found {Describe(value)}");
    }

    /// <summary>A string's text.</summary>
    public static string Text(JsonElement value, string field, string place)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            // JSON can spell half of a surrogate pair (\ud83d), which no text can hold.
            throw new InvalidDataException($"{place}: the field \"{field}\" holds half of a surrogate pair", error);
        }
    }

    /// <summary>What kind of value it is, in words.</summary>
    public static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "a boolean",
    };
}
