using System.Text.Encodings.Web;
using System.Text.Json;
using Tessera.Text.Files;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Reads and writes Hugging Face's <c>tokenizer.json</c>: <c>added_tokens</c>, <c>normalizer</c>, <c>pre_tokenizer</c>,
/// <c>post_processor</c>, <c>decoder</c> and <c>model</c>. <c>truncation</c> and <c>padding</c>, which are of the
/// caller's batch and not of the text, are neither read nor written.
/// </summary>
internal static class TokenizerFile
{
    /// <summary>The file in a folder.</summary>
    public const string Name = "tokenizer.json";

    // Of a name that stands twice in an object one reader takes the first and another the last.
    private static readonly JsonDocumentOptions _reading = new() { AllowDuplicateProperties = false };
    private static readonly JsonWriterOptions _writing =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Reads a file.</summary>
    public static Tokenizer Read(string path, TokenRoles? roles)
    {
        using var document = Parse(path, _reading);
        var root = new JsonPart(path, document.RootElement);
        var model = root.Required("model");
        var kind = KindOf(model);
        var (vocabulary, scores) = kind == "Unigram"
            ? UnigramTokenizer.ReadVocabulary(model.Required("vocab"))
            : (Vocabulary.Read(model.Required("vocab")), []);
        var parts = new TokenizerParts(
            root.Optional("added_tokens") is { } added ? ReadAddedTokens(added, vocabulary) : [],
            root.Optional("normalizer") is { } normalizer ? Normalizer.Read(normalizer) : null,
            root.Optional("pre_tokenizer") is { } preTokenizer ? PreTokenizer.Read(preTokenizer) : null,
            root.Optional("post_processor") is { } postProcessor ? PostProcessor.Read(postProcessor) : null,
            root.Optional("decoder") is { } decoder ? Decoder.Read(decoder) : null,
            null);
        parts = TokenizerSettings.Beside(path).Merge(parts, vocabulary, roles, isBare: false);
        Tokenizer tokenizer = kind switch
        {
            "BPE" => BytePairTokenizer.Read(model, vocabulary, parts),
            "Unigram" => UnigramTokenizer.Read(model, vocabulary, scores, parts),
            "WordPiece" => WordPieceTokenizer.Read(model, vocabulary, parts),
            "WordLevel" => WordLevelTokenizer.Read(model, vocabulary, parts),
            _ => throw model.Required("type").Unsupported("BPE, Unigram, WordPiece or WordLevel"),
        };
        parts.PostProcessor?.Check(tokenizer);
        return tokenizer;
    }

    /// <summary>
    /// Writes a file under another name first, so that what stood there before stays whole until the new one is.
    /// </summary>
    public static void Write(string path, TokenizerParts parts, Action<Utf8JsonWriter> writeModel)
    {
        if (Directory.Exists(path)) path = Path.Combine(path, Name);
        var unfinished = $"{path}.{Guid.NewGuid():N}.tmp";
        using var stream = new FileStream(unfinished, FileMode.CreateNew);
        try
        {
            using (var writer = new Utf8JsonWriter(stream, _writing)) WriteParts(writer, parts, writeModel);
            stream.Flush(flushToDisk: true);
            stream.Close();
            File.Move(unfinished, path, overwrite: true);
        }
        catch
        {
            stream.Close();
            File.Delete(unfinished);
            throw;
        }
    }

    // Old files do not say what the model is.
    private static string KindOf(JsonPart model) => model.Optional("type") is { } type ? type.Text()
        : model.Optional("merges") is not null ? "BPE"
        : model.Optional("max_input_chars_per_word") is not null ? "WordPiece"
        : model.Required("type").Text();

    /// <summary>Parses a file.</summary>
    /// <exception cref="InvalidDataException">It is no valid JSON.</exception>
    public static JsonDocument Parse(string path, JsonDocumentOptions options)
    {
        FileKinds.Require(path, FileKind.Json, "JSON");
        try
        {
            var bytes = File.ReadAllBytes(path).AsMemory();
            return JsonDocument.Parse(bytes.Span.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes, options);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path} is no valid JSON: {error.Message}", error);
        }
    }

    private static List<AddedToken> ReadAddedTokens(JsonPart part, Vocabulary vocabulary)
    {
        var tokens = new List<AddedToken>();
        var textOf = new Dictionary<int, string>();
        var texts = new HashSet<string>(StringComparer.Ordinal);
        var room = vocabulary.Size + part.Items().Count() + Vocabulary.MaxUnusedIds;
        foreach (var item in part.Items())
        {
            var token = AddedToken.Read(item, item.Required("id").Id());
            if (token.Text.Length == 0) throw item.Required("content").Wrong("at least one character");
            if (token.Id >= room) throw item.Required("id").Wrong($"less than {room}, as the file has so few tokens");
            if (vocabulary.Find(token.Text) is { } known && known != token.Id)
                throw item.Required("id").Wrong($"{known}, which the vocabulary gives to '{token.Text}'");
            var other = vocabulary.TextOf(token.Id) ?? textOf.GetValueOrDefault(token.Id, token.Text);
            if (other != token.Text) throw item.Required("id").Wrong($"an id of its own, this is that of '{other}'");
            if (!textOf.TryAdd(token.Id, token.Text) || !texts.Add(token.Text))
                throw item.Required("content").Wrong("there only once");
            tokens.Add(token);
        }

        return tokens;
    }

    private static void WriteParts(Utf8JsonWriter writer, TokenizerParts parts, Action<Utf8JsonWriter> writeModel)
    {
        writer.WriteStartObject();
        writer.WriteString("version", "1.0");
        writer.WriteNull("truncation");
        writer.WriteNull("padding");
        writer.WriteStartArray("added_tokens");
        foreach (var token in parts.AddedTokens.Concat(parts.ControlTokens)) WriteAddedToken(writer, token);
        writer.WriteEndArray();
        WritePart("normalizer", parts.Normalizer is null ? null : parts.Normalizer.Write);
        WritePart("pre_tokenizer", parts.PreTokenizer is null ? null : parts.PreTokenizer.Write);
        WritePart("post_processor", parts.PostProcessor is null ? null : parts.PostProcessor.Write);
        WritePart("decoder", parts.Decoder is null ? null : parts.Decoder.Write);
        WritePart("model", writeModel);
        writer.WriteEndObject();

        void WritePart(string name, Action<Utf8JsonWriter>? write)
        {
            writer.WritePropertyName(name);
            if (write is null) writer.WriteNullValue();
            else write(writer);
        }
    }

    private static void WriteAddedToken(Utf8JsonWriter writer, AddedToken token)
    {
        writer.WriteStartObject();
        writer.WriteNumber("id", token.Id);
        writer.WriteString("content", token.Text);
        writer.WriteBoolean("single_word", token.SingleWord);
        writer.WriteBoolean("lstrip", token.TrimsLeft);
        writer.WriteBoolean("rstrip", token.TrimsRight);
        writer.WriteBoolean("normalized", token.Normalized);
        writer.WriteBoolean("special", token.Special);
        writer.WriteEndObject();
    }
}
