using System.Text.Json.Nodes;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models;

/// <summary>How a decoder wants its texts: what stands before them, what ends them, how a conversation is written.</summary>
public sealed record TextConventions
{
    /// <summary>Those of models trained here: <see cref="SpecialTokens"/>, and nothing in a text is special.</summary>
    public static TextConventions Own { get; } = new() { Begin = SpecialTokens.Begin, Ends = [SpecialTokens.End] };

    /// <summary>The token put before a text that does not begin with it already; none where null.</summary>
    public int? Begin { get; init; }

    /// <summary>The tokens that end what a model writes; where there are none, only a limit does.</summary>
    public IReadOnlyList<int> Ends { get; init; } = [];

    /// <summary>Whether a text may name special tokens, and gets what its tokenizer's file puts around texts
    /// (<see cref="Tokenizer.EncodeSequence"/>).</summary>
    public bool ReadsSpecialTokens { get; init; }

    /// <summary>How a conversation becomes a text; null where the model knows none.</summary>
    public ChatTemplate? Chat { get; init; }

    /// <summary>Names that the template knows besides the messages, such as <c>bos_token</c>.</summary>
    public JsonObject ChatVariables { get; init; } = [];

    /// <summary>The tokens of a text that the model is to go on with.</summary>
    public int[] Encode(Tokenizer tokenizer, string text)
    {
        var ids = ReadsSpecialTokens ? tokenizer.EncodeSequence(text) : tokenizer.EncodeOrdinary(text);
        return Begin is { } begin && (!ReadsSpecialTokens || ids.Length == 0 || ids[0] != begin) ? [begin, .. ids] : ids;
    }

    /// <summary>The tokens of a conversation in which a user has said something and the model is to answer.</summary>
    /// <exception cref="ArgumentException">The model knows no conversations.</exception>
    /// <exception cref="TemplateException">The template refuses the message.</exception>
    public int[] EncodeChat(Tokenizer tokenizer, string message)
    {
        if (Chat is null) throw new ArgumentException("this model has no chat template");
        var messages = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = message });
        return tokenizer.Encode(Chat.Render(new ChatInput { Messages = messages, AddGenerationPrompt = true, Variables = ChatVariables }).Text);
    }
}
