using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// The tokenizer of a Hugging Face folder and how its model is prompted. What ends a text comes from <c>generation_config.json</c>, then
/// from <c>config.json</c>, then from the files of the tokenizer; what ends a turn, from the chat template, too.
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

    /// <summary>What the folder says about prompts; what goes around them is the tokenizer's matter.</summary>
    public static PromptFormat PromptFormat(string folder, HuggingFaceConfig config, Tokenizer? tokenizer)
    {
        var generation = Optional(folder, "generation_config.json");
        var texts = Optional(folder, "tokenizer_config.json");
        return new PromptFormat
        {
            ReadsSpecialTokens = true,
            StopTokens = Ends(generation) ?? Ends(config) ?? (tokenizer?.EndId is { } id ? [id] : []),
            ChatTemplate = Template(folder, texts),
            ChatVariables = ChatRoles.VariablesOf(tokenizer),
        }.WithTurnEnd(tokenizer);
    }

    /// <summary>The tokens that end what the model writes; null where a file names none.</summary>
    private static List<int>? Ends(HuggingFaceConfig? file) =>
        file?.OneOrMore("eos_token_id")?.Where(id => id >= 0).Distinct().ToList() is { Count: > 0 } ids ? ids : null;

    private static HuggingFaceConfig? Optional(string folder, string file)
    {
        var path = Path.Combine(folder, file);
        return File.Exists(path) ? HuggingFaceConfig.Load(path) : null;
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
