using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>
/// Texts with the ids that Hugging Face's library gives them; see <c>tests/Fixtures/make_tokenizers.py</c>.
/// </summary>
internal static class TokenizerFixtures
{
    /// <summary>A folder of this project's fixtures, or of the shared ones.</summary>
    public static string Folder(string name)
    {
        var local = Fixture.Local($"tokenizers/{name}");
        return Directory.Exists(local) ? local : Fixture.Shared($"fixtures/tokenizers/{name}")!;
    }

    public static Tokenizer Load(string name) => Tokenizer.Load(Folder(name));

    /// <summary>
    /// The lines of <c>cases.jsonl</c>: text, ids with what the post-processor adds, text decoded without specials.
    /// </summary>
    public static IEnumerable<(string Text, int[] Ids, string Decoded)> Cases(string name)
    {
        foreach (var line in File.ReadLines(Path.Combine(Folder(name), "cases.jsonl")))
        {
            using var document = JsonDocument.Parse(line);
            var row = document.RootElement;
            yield return (row.GetProperty("text").GetString()!, Ids(row), row.GetProperty("decoded").GetString()!);
        }
    }

    /// <summary>A part of <c>case.json</c>.</summary>
    public static JsonElement Info(string name, string key)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder(name), "case.json")));
        return document.RootElement.GetProperty(key).Clone();
    }

    public static int[] Ids(JsonElement row) =>
        [.. row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];

    public static string[] TrainingLines() =>
        File.ReadAllText(Path.Combine(Folder("training"), "corpus.txt")).Split('\n');
}
