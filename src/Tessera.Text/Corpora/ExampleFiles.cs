using System.Text.Encodings.Web;
using System.Text.Json;

namespace Tessera.Text.Corpora;

/// <summary>Corpora as files that <see cref="JsonLinesOptions"/> reads back.</summary>
public static class ExampleFiles
{
    private static readonly JsonWriterOptions _readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// Writes <c>train.jsonl</c>, <c>validation.jsonl</c> and <c>test.jsonl</c>, a line an example:
    /// <c>{"source": …, "target": …, "group": …}</c> for a pair, <c>{"text": …, "group": …}</c> for plain text,
    /// <c>{"messages": …, "group": …}</c> for a conversation, which <see cref="ChatOptions"/> reads back.
    /// All three are written whole under other names before the first takes its place, so nobody ever reads half a file.
    /// </summary>
    /// <param name="corpus">What to write.</param>
    /// <param name="folder">Where to; made if it does not exist. Files of these names are replaced.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void Write(Corpus corpus, string folder)
    {
        ArgumentNullException.ThrowIfNull(corpus);
        Directory.CreateDirectory(folder);
        (string Name, IReadOnlyList<Example> Examples)[] splits =
            [("train", corpus.Train), ("validation", corpus.Validation), ("test", corpus.Test)];
        var mark = Guid.NewGuid().ToString("N");
        try
        {
            foreach (var (name, examples) in splits) WriteLines(examples, Unfinished(name));
            foreach (var (name, _) in splits) File.Move(Unfinished(name), Path.Combine(folder, $"{name}.jsonl"), overwrite: true);
        }
        finally
        {
            foreach (var (name, _) in splits) File.Delete(Unfinished(name));
        }

        string Unfinished(string name) => Path.Combine(folder, $"{name}.{mark}.tmp");
    }

    private static void WriteTexts(Example example, Utf8JsonWriter writer)
    {
        if (example.Source is { } source) writer.WriteString("source", source);
        writer.WriteString(example.Source is null ? "text" : "target", example.Target);
    }

    private static void WriteMembers(string conversation, Utf8JsonWriter writer)
    {
        using var document = JsonDocument.Parse(conversation);
        foreach (var member in document.RootElement.EnumerateObject()) member.WriteTo(writer);
    }

    private static void WriteLines(IReadOnlyList<Example> examples, string path)
    {
        using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
        using var writer = new Utf8JsonWriter(file, _readable);
        foreach (var example in examples)
        {
            writer.WriteStartObject();
            if (example.Conversation is { } conversation) WriteMembers(conversation, writer);
            else WriteTexts(example, writer);
            writer.WriteString("group", example.Group);
            writer.WriteEndObject();
            writer.Flush();
            file.WriteByte((byte)'\n');
            writer.Reset();
        }

        file.Flush(flushToDisk: true);
    }
}
