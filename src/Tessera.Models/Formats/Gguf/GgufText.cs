using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Formats.Gguf;

/// <summary>The tokenizer of a GGUF file and how its model is prompted.</summary>
internal static class GgufText
{
    private const string ModelKey = "tokenizer.ggml.model", NoModel = "none";
    private const string TemplateKey = "tokenizer.chat_template", EndOfTurnKey = "tokenizer.ggml.eot_token_id",
        EndOfMessageKey = "tokenizer.ggml.eom_token_id";

    // Tokens that end a turn or a message end what a model writes, too.
    private static readonly string[] s_ends = ["tokenizer.ggml.eos_token_id", EndOfTurnKey, EndOfMessageKey];

    /// <summary>The tokenizer; null where the file has none.</summary>
    public static Tokenizer? Tokenizer(GgufFile file) =>
        file.Text(ModelKey) is null or NoModel or "no_vocab" ? null : GgufTokenizer.Read(file);

    /// <summary>What the file says about prompts; what goes around them is the tokenizer's matter.</summary>
    public static PromptFormat PromptFormat(GgufFile file, Tokenizer? tokenizer)
    {
        var ids = s_ends.Select(file.Whole).OfType<long>().Where(id => id < tokenizer?.VocabularySize).Select(id => (int)id);
        return new PromptFormat
        {
            ReadsSpecialTokens = true,
            StopTokens = [.. ids.Concat(tokenizer?.EndsByName ?? []).Distinct()],
            ChatTemplate = Template(file),
            ChatVariables = ChatRoles.VariablesOf(tokenizer),
        }.WithTurnEnd(tokenizer);
    }

    /// <summary>Writes how a conversation becomes a text, and what ends a turn or a message in it: with the end of texts, three tokens
    /// that end what a model writes.</summary>
    /// <param name="format">How the model is prompted.</param>
    /// <param name="tokenizer">Whose tokens they are.</param>
    /// <param name="end">The token that ends texts.</param>
    /// <param name="metadata">Takes the keys.</param>
    /// <returns>A note on the ends that are lost, null where none is.</returns>
    public static string? Write(PromptFormat format, Tokenizer tokenizer, int? end, IDictionary<string, GgufValue> metadata)
    {
        if (format.ChatTemplate is { } template) WriteTemplate(template, metadata);
        string[] keys = [EndOfTurnKey, EndOfMessageKey];
        int[] ends = [.. format.StopTokens.Where(id => id >= 0).Distinct()];
        // One alone is that of texts, also where the tokenizer names another; some need no key, as they are known by their names.
        ends = ends.Length <= 1 ? [] : [.. ends.Where(id => id != end).Except(tokenizer.EndsByName)];
        foreach (var (key, id) in keys.Zip(ends)) metadata[key] = GgufValue.Of((uint)id);
        return ends.Length <= keys.Length
            ? null
            : $"the file has places for {keys.Length + 1} tokens that end what the model writes; "
                + $"lost: {string.Join(", ", ends[keys.Length..])}";
    }

    /// <summary>Writes a chat template.</summary>
    public static void WriteTemplate(ChatTemplate template, IDictionary<string, GgufValue> metadata) =>
        metadata[TemplateKey] = GgufValue.Of(template.Source);

    /// <summary>Says that there is no tokenizer, as llama.cpp wants to be told.</summary>
    public static void WriteNone(IDictionary<string, GgufValue> metadata) => metadata[ModelKey] = GgufValue.Of(NoModel);

    private static ChatTemplate? Template(GgufFile file)
    {
        try
        {
            return file.Text(TemplateKey) is { } source ? ChatTemplate.Parse(source) : null;
        }
        catch (TemplateException error)
        {
            throw new InvalidDataException($"{file.Path}: metadata '{TemplateKey}' cannot be read: {error.Message}", error);
        }
    }
}
