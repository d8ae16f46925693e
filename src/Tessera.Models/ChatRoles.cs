using System.Text.Json.Nodes;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models;

/// <summary>What a chat template has to do with special tokens: those that it knows by name, and the one that it ends turns with.</summary>
internal static class ChatRoles
{
    private const string Said = "a", Answered = "tessera";

    /// <summary>The special tokens under the names that templates know: <c>bos_token</c>, <c>pad_token</c> and so on.</summary>
    public static JsonObject VariablesOf(Tokenizer? tokenizer)
    {
        var variables = new JsonObject();
        if (tokenizer?.NamedRoles is not { } roles) return variables;
        foreach (var (name, token) in roles.Named) variables[name] = token;
        if (roles.Additional.Count > 0)
            variables["additional_special_tokens"] = new JsonArray([.. roles.Additional.Select(token => (JsonNode)token)]);
        return variables;
    }

    /// <summary>The same with the token that the template writes after an answer among those that end what the model writes.</summary>
    public static PromptFormat WithTurnEnd(this PromptFormat format, Tokenizer? tokenizer) =>
        tokenizer is not null && TurnEnd(format, tokenizer) is { } end && !format.StopTokens.Contains(end)
            ? format with { StopTokens = [.. format.StopTokens, end] }
            : format;

    private static int? TurnEnd(PromptFormat format, Tokenizer tokenizer)
    {
        if (format.ChatTemplate is not { } template) return null;
        JsonArray messages =
        [
            new JsonObject { ["role"] = "user", ["content"] = Said },
            new JsonObject { ["role"] = "assistant", ["content"] = Answered },
        ];
        try
        {
            var variables = format.ChatVariables.DeepClone().AsObject();
            var text = template.Render(new ChatInput { Messages = messages, Variables = variables }).Text;
            var answer = text.LastIndexOf(Answered, StringComparison.Ordinal);
            if (answer < 0) return null;
            var rest = text[(answer + Answered.Length)..].TrimStart();
            return tokenizer.AddedTokens.Where(token => rest.StartsWith(token.Text, StringComparison.Ordinal))
                .MaxBy(token => token.Text.Length)?.Id;
        }
        catch (TemplateException)
        {
            return null; // a template may refuse this conversation; it is asked for the model's own ones only
        }
    }
}
