using System.Text.Json;
using System.Text.Json.Nodes;

namespace Tessera.Text.Templates;

/// <summary>What a chat template is given.</summary>
public sealed record ChatInput
{
    /// <summary>The messages, objects with <c>role</c> and <c>content</c> and whatever else the template reads.</summary>
    public required JsonArray Messages { get; init; }

    /// <summary>Descriptions of functions that the model may call, as JSON schemas; null: none.</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>Documents to answer from; null: none.</summary>
    public JsonArray? Documents { get; init; }

    /// <summary>Whether the text ends with the start of the model's answer.</summary>
    public bool AddGenerationPrompt { get; init; }

    /// <summary>Whether the last message is the beginning of an answer that the model is to go on with.</summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>Other names that the template knows, such as <c>bos_token</c> or <c>enable_thinking</c>.</summary>
    public JsonObject? Variables { get; init; }

    /// <summary>What <c>strftime_now</c> takes for now; the local time where null.</summary>
    public DateTime? Now { get; init; }
}

/// <summary>A conversation as the text that a model reads.</summary>
/// <param name="Text">The text.</param>
/// <param name="Generated">The parts that the model wrote or is to write, where the template marks them with
/// <c>{% generation %}</c>: [start, end) in UTF-16 units of the text.</param>
public sealed record ChatText(string Text, IReadOnlyList<(int Start, int End)> Generated);

/// <summary>
/// Turns a conversation into the text a model was trained on: the Jinja template that checkpoints carry as
/// <c>chat_template</c>, with the environment that Hugging Face's transformers gives it (trim_blocks, lstrip_blocks, loop
/// controls, <c>raise_exception</c>, <c>strftime_now</c>, Python's <c>tojson</c>). A template can neither reach .NET nor change
/// what it is given, and one that would not end is stopped.
/// <para>Jinja 3.1, <see href="https://jinja.palletsprojects.com/en/stable/templates/"/>.</para>
/// </summary>
public sealed class ChatTemplate
{
    private const string FinalMark = "CONTINUE_FINAL_MESSAGE_TAG ";
    private const int LongestSource = 4_000_000;

    private readonly Body _body;

    private ChatTemplate(string source, Body body) => (Source, _body) = (source, body);

    /// <summary>The template as it was written.</summary>
    public string Source { get; }

    /// <summary>Reads a template.</summary>
    /// <exception cref="TemplateException">It is not one; the message names the line.</exception>
    public static ChatTemplate Parse(string source) => source.Length <= LongestSource
            ? new ChatTemplate(source, TemplateParser.Parse(source))
            : throw new TemplateException(
                TemplateErrorKind.SyntaxError, $"the template has {source.Length} characters; at most {LongestSource} are allowed");

    /// <summary>Renders a conversation.</summary>
    /// <exception cref="TemplateException">The template refuses the conversation, does what it may not, or takes too long.</exception>
    public ChatText Render(ChatInput input)
    {
        Operators.CountComparisons();
        var rendering = new Rendering(input.Now ?? DateTime.Now);
        var globals = new Scope(rendering, null);
        foreach (var (name, value) in input.Variables ?? []) globals[name] = Read(value);
        globals["messages"] = Messages(input);
        globals["tools"] = Read(input.Tools);
        globals["documents"] = Read(input.Documents);
        globals["add_generation_prompt"] = input.AddGenerationPrompt;
        _body.Run(globals.Inner());
        var text = rendering.Output.ToString();
        if (input.ContinueFinalMessage) text = UpToMark(text);
        return new ChatText(
            text,
            rendering
                .Generated.Where(part => part.Start < text.Length)
                .Select(part => (part.Start, Math.Min(part.End, text.Length)))
                .ToList());
    }

    private static object? Read(JsonNode? value) => value is null ? null : JsonPrinting.Read(JsonSerializer.SerializeToElement(value));

    private static List<object?> Messages(ChatInput input)
    {
        var messages = new List<object?>();
        foreach (var node in input.Messages)
        {
            var message = Read(node);
            if (message is PythonDictionary dictionary) NameThoughts(dictionary);
            messages.Add(message);
        }

        if (input.ContinueFinalMessage) MarkEnd(messages);
        return messages;
    }

    /// <summary>Templates read what a model thought under one of two names.</summary>
    private static void NameThoughts(PythonDictionary message)
    {
        foreach (var name in new[] { "reasoning_content", "thinking", "reasoning" })
        {
            if (!message.TryGet(name, out var thought)) continue;
            message["reasoning_content"] = thought;
            message["thinking"] = thought;
            return;
        }
    }

    /// <summary>Puts a mark after the last message's content, to find where the text is to be cut.</summary>
    private static void MarkEnd(List<object?> messages)
    {
        if (messages.Count > 0 && messages[^1] is PythonDictionary message && message.TryGet("content", out var content))
        {
            if (content is string text)
            {
                message["content"] = text + FinalMark;
                return;
            }

            var part = (content as List<object?>)
                ?.OfType<PythonDictionary>()
                .LastOrDefault(part => part.TryGet("text", out var words) && words is string);
            if (part is not null && part.TryGet("text", out var last))
            {
                part["text"] = (string)last! + FinalMark;
                return;
            }
        }

        throw new TemplateException(TemplateErrorKind.ValueError, "there is no final message with a text to go on with");
    }

    private static string UpToMark(string text)
    {
        var place = text.LastIndexOf(FinalMark.TrimEnd(), StringComparison.Ordinal);
        if (place < 0)
            throw new TemplateException(
                TemplateErrorKind.ValueError, "the template does not print the final message as it is, so it cannot be gone on with");
        var start = text[..place];
        return string.CompareOrdinal(text, place, FinalMark, 0, FinalMark.Length) == 0 ? start : start.TrimEnd();
    }
}
