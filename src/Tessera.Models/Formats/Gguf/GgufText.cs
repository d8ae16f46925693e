using System.Text.Json.Nodes;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Formats.Gguf;

/// <summary>The tokenizer of a GGUF file and how its model wants texts.</summary>
internal static class GgufText
{
    private const string ModelKey = "tokenizer.ggml.model", NoModel = "none";
    private const string TemplateKey = "tokenizer.chat_template", EndOfTurnKey = "tokenizer.ggml.eot_token_id";

    // Tokens that end a turn or a message end what a model writes, too.
    private static readonly string[] s_ends = ["tokenizer.ggml.eos_token_id", EndOfTurnKey, "tokenizer.ggml.eom_token_id"];

    /// <summary>The tokenizer; null where the file has none.</summary>
    public static Tokenizer? Tokenizer(GgufFile file) => file.Text(ModelKey) is null or NoModel or "no_vocab" ? null : GgufTokenizer.Read(file);

    /// <summary>What the file says about texts; what goes around them is the tokenizer's matter.</summary>
    public static TextConventions Conventions(GgufFile file, Tokenizer? tokenizer) => new()
    {
        ReadsSpecialTokens = true,
        Ends = [.. s_ends.Select(file.Whole).OfType<long>().Where(id => id < tokenizer?.VocabularySize).Select(id => (int)id).Distinct()],
        Chat = Template(file),
        ChatVariables = Variables(tokenizer),
    };

    /// <summary>Writes how a conversation becomes a text, and what ends a turn in it.</summary>
    /// <param name="texts">What the model wants.</param>
    /// <param name="end">The token that ends texts.</param>
    /// <param name="metadata">Takes the keys.</param>
    public static void Write(TextConventions texts, int? end, IDictionary<string, GgufValue> metadata)
    {
        if (texts.Ends.Count > 1) metadata[EndOfTurnKey] = GgufValue.Of((uint)texts.Ends.First(id => id != end));
        if (texts.Chat is not null) metadata[TemplateKey] = GgufValue.Of(texts.Chat.Source);
    }

    /// <summary>Says that there is no tokenizer, as llama.cpp wants to be told.</summary>
    public static void WriteNone(IDictionary<string, GgufValue> metadata) => metadata[ModelKey] = GgufValue.Of(NoModel);

    private static JsonObject Variables(Tokenizer? tokenizer)
    {
        var variables = new JsonObject();
        foreach (var (name, id) in ((string, int?)[])[("bos_token", tokenizer?.BeginId), ("eos_token", tokenizer?.EndId)])
            if (id is { } known) variables[name] = tokenizer!.TokenText(known);
        return variables;
    }

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
