using System.Text.Json.Nodes;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models;

/// <summary>
/// Finds in the text of a conversation what the assistant says. A template may mark it, <c>{% generation %}</c>; where it does not, an
/// answer begins where the text of the messages before it ends, with the start of an answer that generation would be given, and ends with
/// its stop token, or where the text of the messages up to it does.
/// </summary>
/// <param name="format">Has the template.</param>
/// <param name="tokenizer">Turns texts into ids; the template writes special tokens itself.</param>
internal sealed class ConversationEncoding(PromptFormat format, Tokenizer tokenizer)
{
    /// <summary>The tokens, and which of them are to be predicted.</summary>
    public EncodedText Encode(JsonObject conversation)
    {
        var (messages, tools) = (conversation["messages"]!.AsArray(), conversation["tools"]?.AsArray());
        var (text, marked) = Render(messages, messages.Count, tools, opensAnswer: false);
        var answers = marked.Count > 0 ? marked : [.. Answers(text, messages, tools)];
        var ids = tokenizer.Encode(text).ToList();
        var isPredicted = new List<bool>(new bool[ids.Count]);
        var isEnded = true;
        foreach (var (start, end) in answers)
        {
            var (first, last) = (TokensBefore(text, start, ids), TokensBefore(text, end, ids));
            var stop = ids.FindLastIndex(last - 1, last - first, id => format.StopTokens.Contains(id));
            isEnded = stop >= 0 || last < ids.Count;
            for (var token = first; token < (stop >= 0 ? stop + 1 : last); token++) isPredicted[token] = true;
        }

        if (!isEnded && format.EosToken is { } eos)
        {
            ids.Add(eos);
            isPredicted.Add(true);
        }

        return new EncodedText([.. ids], Math.Max(0, isPredicted.IndexOf(true))) { IsPredicted = [.. isPredicted] };
    }

    private List<(int Start, int End)> Answers(string text, JsonArray messages, JsonArray? tools)
    {
        var answers = new List<(int, int)>();
        for (var index = 0; index < messages.Count; index++)
        {
            if ((string?)messages[index]!["role"] != "assistant") continue;
            var start = LengthOfBeginning(text, messages, index, tools, opensAnswer: true)
                ?? LengthOfBeginning(text, messages, index, tools, opensAnswer: false) ?? throw NotFound();
            var end = LengthOfBeginning(text, messages, index + 1, tools, opensAnswer: false) ?? EndByToken(text, start) ?? throw NotFound();
            answers.Add((start, Math.Max(start, end)));
        }

        return answers;
    }

    /// <summary>How much of a text the first messages make up; null where they would be written otherwise.</summary>
    private int? LengthOfBeginning(string text, JsonArray messages, int count, JsonArray? tools, bool opensAnswer)
    {
        var beginning = Render(messages, count, tools, opensAnswer).Text;
        return text.StartsWith(beginning, StringComparison.Ordinal) ? beginning.Length : null;
    }

    private int? EndByToken(string text, int start)
    {
        var ends = format.StopTokens.Select(tokenizer.TokenText)
            .Select(token => (Token: token, At: text.IndexOf(token, start, StringComparison.Ordinal)))
            .Where(found => found.At >= 0).ToList();
        return ends.Count == 0 ? null : ends.Min(found => found.At + found.Token.Length);
    }

    /// <summary>How many tokens of a text are those of its beginning alone.</summary>
    private int TokensBefore(string text, int place, List<int> ids)
    {
        if (place == text.Length) return ids.Count;
        var beginning = tokenizer.Encode(text[..place]);
        var same = 0;
        while (same < beginning.Length && same < ids.Count && beginning[same] == ids[same]) same++;
        return same;
    }

    private ChatText Render(JsonArray messages, int count, JsonArray? tools, bool opensAnswer)
    {
        try
        {
            return format.Render(new ChatInput
            {
                Messages = [.. messages.Take(count).Select(message => message!.DeepClone())], Tools = tools, AddGenerationPrompt = opensAnswer,
            });
        }
        catch (TemplateException error)
        {
            throw new InvalidDataException($"data: the chat template refuses a conversation: {error.Message}", error);
        }
    }

    private static InvalidDataException NotFound() => new(
        "data: the chat template writes messages otherwise when others follow, so what the assistant says cannot be told apart; "
        + "mark it in the template with {% generation %} … {% endgeneration %}");
}
