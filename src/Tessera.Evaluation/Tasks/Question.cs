using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Text.Corpora;
using Tessera.Text.Templates;

namespace Tessera.Evaluation.Tasks;

/// <summary>What of an example is asked and what is wanted: of a pair its source and target, of a conversation what was said before the
/// assistant's last answer, and that answer.</summary>
/// <param name="Asked">For people.</param>
/// <param name="Wanted">What the output is compared with.</param>
internal readonly record struct Question(string Asked, string Wanted)
{
    /// <summary>Whether an example asks anything.</summary>
    public static bool IsIn(Example example) => example.Source is not null || example.Conversation is not null;

    /// <summary>The question of an example that asks one.</summary>
    public static Question Of(Example example)
    {
        if (example.Conversation is not { } conversation) return new Question(example.Source!, example.Target);
        var (before, answer) = Divide(conversation);
        return new Question(before.Count == 0 ? "" : Content(before[^1]), answer);
    }

    /// <summary>What a model reads: an encoder the source, cut as in training; a decoder what stood before the target then.</summary>
    public static int[] Prompt(ModelFolder model, Example example)
    {
        var (format, tokenizer) = (model.PromptFormat, model.Tokenizer);
        if (example.Conversation is { } conversation)
        {
            var tools = JsonNode.Parse(conversation)!["tools"]?.AsArray();
            var input = new ChatInput { Messages = [.. Divide(conversation).Before], Tools = tools, AddGenerationPrompt = true };
            return format.EncodeChat(tokenizer, input);
        }

        if (model.Model.ReadsSource) return format.EncodeSource(tokenizer, example.Source!, model.Config.SourceLength);
        var pair = format.EncodePair(tokenizer, example.Source!, example.Target);
        return pair.Ids[..pair.TargetStart];
    }

    private static (IReadOnlyList<JsonNode> Before, string Answer) Divide(string conversation)
    {
        JsonNode[] messages = [.. JsonNode.Parse(conversation)!["messages"]!.AsArray().Select(message => message!.DeepClone())];
        var last = Array.FindLastIndex(messages, message => (string?)message["role"] == "assistant");
        return (messages[..last], Content(messages[last]));
    }

    private static string Content(JsonNode message) => message["content"] switch
    {
        JsonValue value when value.TryGetValue(out string? text) => text,
        var other => other?.ToJsonString() ?? "",
    };
}
