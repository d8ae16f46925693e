using System.Text.Json.Nodes;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models;

/// <summary>A text as a decoder learns it.</summary>
/// <param name="Ids">All of it, with what stands before and after.</param>
/// <param name="TargetStart">Where in <paramref name="Ids"/> begins what is to be predicted: what stands before a text, and the source of a
/// pair, are only read.</param>
public readonly record struct EncodedText(int[] Ids, int TargetStart)
{
    /// <summary>Which of <see cref="Ids"/> are to be predicted, where that is not all from <see cref="TargetStart"/> on: of a conversation,
    /// what the assistant says.</summary>
    public bool[]? IsPredicted { get; init; }
}

/// <summary>How a model is prompted, which is how it was trained: the tokens before and after a text, what lies between a source and its
/// target, how a conversation is written. Training data, evaluation and generation encode by it alone.</summary>
public sealed record PromptFormat
{
    /// <summary>That of models trained here: <see cref="SpecialTokens"/>, and nothing in a text is special.</summary>
    public static PromptFormat Own { get; } = new() { BosToken = SpecialTokens.Begin, StopTokens = [SpecialTokens.End] };

    /// <summary>The token put before a text that does not begin with it already (bos); none where null.</summary>
    public int? BosToken { get; init; }

    /// <summary>The tokens that end what a model writes; where there are none, only a limit does.</summary>
    public IReadOnlyList<int> StopTokens { get; init; } = [];

    /// <summary>The token put after a text in training (eos): the first of <see cref="StopTokens"/>; none where null.</summary>
    public int? EosToken => StopTokens is [var first, ..] ? first : null;

    /// <summary>What lies between the source and the target of a pair that a decoder reads as one text. After a source that ends with it
    /// already, it is not written again.</summary>
    public string Separator { get; init; } = "\n";

    /// <summary>Whether a decoder was trained on pairs: a prompt is then a source, and <see cref="Separator"/> is written after it.</summary>
    public bool ReadsPairs { get; init; }

    /// <summary>Whether a prompt may name special tokens, and gets what its tokenizer's file puts around texts
    /// (<see cref="Tokenizer.EncodeSequence"/>).</summary>
    public bool ReadsSpecialTokens { get; init; }

    /// <summary>How a conversation becomes a text; null where the model knows none.</summary>
    public ChatTemplate? ChatTemplate { get; init; }

    /// <summary>Names that the template knows besides the messages, such as <c>bos_token</c>.</summary>
    public JsonObject ChatVariables { get; init; } = [];

    /// <summary>The tokens of a text that a decoder is to go on with, or of a source whose target it is to write
    /// (<see cref="ReadsPairs"/>).</summary>
    public int[] EncodePrompt(Tokenizer tokenizer, string text) => EncodeBeginning(tokenizer, ReadsPairs ? Separated(text) : text);

    private int[] EncodeBeginning(Tokenizer tokenizer, string text)
    {
        var ids = ReadsSpecialTokens ? tokenizer.EncodeSequence(text) : tokenizer.EncodeOrdinary(text);
        return BosToken is { } bos && (!ReadsSpecialTokens || ids.Length == 0 || ids[0] != bos) ? [bos, .. ids] : ids;
    }

    /// <summary>The tokens of a whole text that a decoder learns. A corpus names no special tokens.</summary>
    public EncodedText EncodeText(Tokenizer tokenizer, string text) => Framed(Opening(tokenizer), tokenizer.EncodeOrdinary(text));

    /// <summary>The tokens of a pair that a decoder learns as one text: source, <see cref="Separator"/>, target, of which only the target
    /// is to be predicted.</summary>
    public EncodedText EncodePair(Tokenizer tokenizer, string source, string target) =>
        Framed([.. Opening(tokenizer), .. tokenizer.EncodeOrdinary(Separated(source))], tokenizer.EncodeOrdinary(target));

    /// <summary>The tokens of a source that an encoder reads, its end included.</summary>
    /// <param name="tokenizer">Turns texts into ids.</param>
    /// <param name="source">The source.</param>
    /// <param name="maxLength">How many tokens there may be, the end included: the text's end is cut off where there are more.</param>
    public int[] EncodeSource(Tokenizer tokenizer, string source, int maxLength = int.MaxValue)
    {
        var (ids, end) = (tokenizer.EncodeOrdinary(source), End());
        return [.. ids.AsSpan(0, Math.Min(ids.Length, maxLength - end.Length)), .. end];
    }

    /// <summary>The tokens of a target that a decoder writes beside an encoder: it reads all but the last and predicts all but the
    /// first.</summary>
    public int[] EncodeTarget(Tokenizer tokenizer, string target) => [.. TargetOpening(), .. tokenizer.EncodeOrdinary(target), .. End()];

    /// <summary>What a decoder beside an encoder reads before it has written anything.</summary>
    /// <exception cref="InvalidOperationException">The format has no token that begins a text.</exception>
    public int[] TargetOpening() => BosToken is { } bos
        ? [bos]
        : throw new InvalidOperationException("a decoder beside an encoder needs a token to begin with");

    /// <summary>The tokens of a message to which the model is to answer.</summary>
    /// <exception cref="ArgumentException">The model knows no conversations.</exception>
    /// <exception cref="TemplateException">The template refuses the message.</exception>
    public int[] EncodeChat(Tokenizer tokenizer, string message)
    {
        var said = new JsonObject { ["role"] = "user", ["content"] = message };
        return EncodeChat(tokenizer, new ChatInput { Messages = [said], AddGenerationPrompt = true });
    }

    /// <summary>The tokens of a conversation.</summary>
    /// <param name="tokenizer">Turns texts into ids; the template writes special tokens itself.</param>
    /// <param name="conversation">The messages; its variables count before <see cref="ChatVariables"/>.</param>
    /// <exception cref="ArgumentException">The model knows no conversations.</exception>
    /// <exception cref="TemplateException">The template refuses the conversation.</exception>
    public int[] EncodeChat(Tokenizer tokenizer, ChatInput conversation)
    {
        return tokenizer.Encode(Render(conversation).Text);
    }

    /// <summary>A conversation as its template writes it.</summary>
    internal ChatText Render(ChatInput conversation)
    {
        if (ChatTemplate is null) throw new ArgumentException("this model has no chat template");
        var variables = ChatVariables.DeepClone().AsObject();
        foreach (var (name, value) in conversation.Variables ?? []) variables[name] = value?.DeepClone();
        return ChatTemplate.Render(conversation with { Variables = variables });
    }

    /// <summary>The tokens of a conversation that a decoder learns: what the template makes of it, of which what the assistant says is to
    /// be predicted.</summary>
    /// <param name="tokenizer">Turns texts into ids.</param>
    /// <param name="conversation">A JSON object with <c>messages</c> and, where the model may call functions, <c>tools</c>.</param>
    /// <exception cref="ArgumentException">The model knows no conversations.</exception>
    /// <exception cref="InvalidDataException">The template refuses the conversation, or does not show what the assistant says.</exception>
    public EncodedText EncodeConversation(Tokenizer tokenizer, string conversation) =>
        new ConversationEncoding(this, tokenizer).Encode(JsonNode.Parse(conversation)!.AsObject());

    /// <summary>The format with a template, which knows the tokens of the beginning and end as <c>bos_token</c> and <c>eos_token</c>; what
    /// the format says of them already counts.</summary>
    public PromptFormat WithChatTemplate(ChatTemplate template, Tokenizer tokenizer)
    {
        var variables = ChatVariables.DeepClone().AsObject();
        if (BosToken is { } begin && !variables.ContainsKey("bos_token")) variables["bos_token"] = tokenizer.TokenText(begin);
        if (EosToken is { } end && !variables.ContainsKey("eos_token")) variables["eos_token"] = tokenizer.TokenText(end);
        return this with { ChatTemplate = template, ChatVariables = variables };
    }

    /// <summary>What stands before every text: of what frames an empty one, that which a text does not push away.</summary>
    public int[] Opening(Tokenizer tokenizer)
    {
        var empty = EncodeBeginning(tokenizer, "");
        return empty[..empty.AsSpan().CommonPrefixLength(EncodeBeginning(tokenizer, "a"))];
    }

    /// <summary>What stands after every text that is learned: <see cref="EosToken"/>, or nothing.</summary>
    public int[] End() => EosToken is { } eos ? [eos] : [];

    private string Separated(string source) => source.EndsWith(Separator, StringComparison.Ordinal) ? source : source + Separator;

    private EncodedText Framed(int[] read, int[] predicted) => new([.. read, .. predicted, .. End()], read.Length);
}
