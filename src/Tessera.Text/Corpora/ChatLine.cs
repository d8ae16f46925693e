using System.Text.Json;

namespace Tessera.Text.Corpora;

/// <summary>A conversation on a line of JSON.</summary>
internal static class ChatLine
{
    /// <summary>Reads one; null where the assistant says nothing in it.</summary>
    /// <param name="line">The line.</param>
    /// <param name="messages">The field with the messages.</param>
    /// <param name="group">The field that names what the conversation belongs to.</param>
    /// <param name="place">The line's file and number, for messages.</param>
    /// <exception cref="InvalidDataException">It is no conversation.</exception>
    public static Example? Read(string line, string messages, string group, string place) => JsonLine.Read(line, place, root =>
    {
        if (!root.TryGetProperty(messages, out var said)) throw new InvalidDataException($"{place}: the field \"{messages}\" is missing");
        if (said.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException($"{place}: the field \"{messages}\" must be an array, found {JsonLine.Describe(said)}");
        RequireTexts(said, messages, place);
        foreach (var message in said.EnumerateArray()) RequireRole(message, messages, place);

        var answers = string.Join('\n', said.EnumerateArray().Where(message => Role(message) == "assistant").SelectMany(Answer));
        if (string.IsNullOrWhiteSpace(answers)) return null;
        var asked = said.EnumerateArray().Where(message => Role(message) == "user").SelectMany(Contents).FirstOrDefault();
        return new Example(null, answers, JsonLine.Optional(root, group, place) ?? asked ?? answers)
        {
            Conversation = root.TryGetProperty("tools", out var tools) && tools.ValueKind == JsonValueKind.Array
                ? $$"""{"messages":{{said.GetRawText()}},"tools":{{tools.GetRawText()}}}"""
                : $$"""{"messages":{{said.GetRawText()}}}""",
        };
    });

    /// <summary>The texts of all messages of a conversation.</summary>
    /// <param name="conversation">As <see cref="Example.Conversation"/>.</param>
    public static IReadOnlyList<string> Contents(string conversation)
    {
        using var document = JsonDocument.Parse(conversation);
        return [.. document.RootElement.GetProperty("messages").EnumerateArray().SelectMany(Contents)];
    }

    private static string? Role(JsonElement message) => message.GetProperty("role").GetString();

    /// <summary>What an assistant says; where it only calls functions, the calls.</summary>
    private static IEnumerable<string> Answer(JsonElement message)
    {
        var contents = Contents(message).Where(text => !string.IsNullOrWhiteSpace(text)).ToList();
        if (contents.Count > 0) return contents;
        return message.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array ? [calls.GetRawText()] : [];
    }

    /// <summary>The texts of a message: its content, or those of the content's parts.</summary>
    private static IEnumerable<string> Contents(JsonElement message)
    {
        if (!message.TryGetProperty("content", out var content)) return [];
        return content.ValueKind switch
        {
            JsonValueKind.String => [content.GetString()!],
            JsonValueKind.Array => content.EnumerateArray()
                .Where(part => part.ValueKind == JsonValueKind.Object && part.TryGetProperty("text", out var text)
                    && text.ValueKind == JsonValueKind.String)
                .Select(part => part.GetProperty("text").GetString()!).ToList(),
            _ => [],
        };
    }

    private static void RequireRole(JsonElement message, string messages, string place)
    {
        if (message.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException($"{place}: each of \"{messages}\" must be an object, found {JsonLine.Describe(message)}");
        JsonLine.Required(message, "role", place);
    }

    /// <summary>All strings can be read as texts.</summary>
    private static void RequireTexts(JsonElement value, string field, string place)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                JsonLine.Text(value, field, place);
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray()) RequireTexts(item, field, place);
                break;
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject()) RequireTexts(member.Value, field, place);
                break;
        }
    }
}
