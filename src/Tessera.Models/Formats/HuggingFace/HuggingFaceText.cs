using System.Text.Json.Nodes;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// The tokenizer of a Hugging Face folder and how its model is prompted. Token ids come from <c>generation_config.json</c>, then from
/// <c>config.json</c>, then from the tokens that <c>tokenizer_config.json</c> names.
/// </summary>
internal static class HuggingFaceText
{
    /// <summary>The name of the file with the tokenizer.</summary>
    public const string TokenizerFile = "tokenizer.json";

    private const string SentencePieceName = "tokenizer.model";

    /// <summary>The tokenizer; null where the folder has none.</summary>
    public static Tokenizer? Tokenizer(string folder) =>
        File.Exists(Path.Combine(folder, TokenizerFile)) || File.Exists(Path.Combine(folder, SentencePieceName))
            ? Text.Tokenizers.Tokenizer.Load(folder)
            : null;

    /// <summary>What the folder says about prompts.</summary>
    public static PromptFormat PromptFormat(string folder, HuggingFaceConfig config, Tokenizer? tokenizer)
    {
        var generation = Optional(folder, "generation_config.json");
        var texts = Optional(folder, "tokenizer_config.json");
        var (begin, end) = (Token(texts, "bos_token"), Token(texts, "eos_token"));
        // A tokenizer.json says itself what it puts before texts; a SentencePiece file does not, and its texts have a beginning unless told
        // otherwise.
        var isBare = !File.Exists(Path.Combine(folder, TokenizerFile));
        var addsBegin = texts?.Truth("add_bos_token", isBare) ?? isBare;
        return new PromptFormat
        {
            ReadsSpecialTokens = true,
            BosToken = !addsBegin
                ? null
                : config.WholeOrNull("bos_token_id", min: 0) ?? (begin is null ? null : tokenizer?.Find(begin)) ?? tokenizer?.BeginId,
            StopTokens = generation?.OneOrMore("eos_token_id") ?? config.OneOrMore("eos_token_id")
                ?? (((end is null ? null : tokenizer?.Find(end)) ?? tokenizer?.EndId) is { } id ? [id] : []),
            ChatTemplate = Template(folder, texts),
            ChatVariables = Variables(("bos_token", begin), ("eos_token", end)),
        };
    }

    private static HuggingFaceConfig? Optional(string folder, string file)
    {
        var path = Path.Combine(folder, file);
        return File.Exists(path) ? HuggingFaceConfig.Load(path) : null;
    }

    /// <summary>A special token: a text, or an object whose <c>content</c> it is.</summary>
    private static string? Token(HuggingFaceConfig? texts, string key)
    {
        if (texts?.Has(key) != true) return null;
        return texts.IsObject(key) ? texts.Object(key)!.Text("content", "") : texts.Text(key, "");
    }

    private static JsonObject Variables(params ReadOnlySpan<(string Name, string? Value)> values)
    {
        var variables = new JsonObject();
        foreach (var (name, value) in values)
            if (value is not null) variables[name] = value;
        return variables;
    }

    private static ChatTemplate? Template(string folder, HuggingFaceConfig? texts)
    {
        var file = Path.Combine(folder, "chat_template.jinja");
        var source = File.Exists(file) ? File.ReadAllText(file) : texts?.NamedText("chat_template", "default");
        try
        {
            return source is null ? null : ChatTemplate.Parse(source);
        }
        catch (TemplateException error)
        {
            throw new InvalidDataException(
                $"{(File.Exists(file) ? file : texts!.Path)}: the chat template cannot be read: {error.Message}", error);
        }
    }
}
