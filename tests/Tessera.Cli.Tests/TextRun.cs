namespace Tessera.Cli.Tests;

/// <summary>A folder with a small text, a recipe of a decoder, and one run of it that the tests of a class share.</summary>
public sealed class TextRun : IDisposable
{
    private static readonly string[] s_words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];

    public TextRun()
    {
        var random = new Random(2);
        Write("text.txt", string.Concat(Enumerable.Range(0, 300).Select(_ => string.Join(' ', random.GetItems(s_words, 5)) + ".\n")));
        Write("other.txt", string.Concat(Enumerable.Range(0, 40).Select(_ => string.Join(' ', random.GetItems(s_words, 4)) + "; äöü\n")));
        Write("text.json", Recipe);
        Training = Tessera("train", "text.json", "--out", "run", "--json");
    }

    public const string Recipe = """
        {
          "name": "text",
          "tokenizer": { "vocabulary": 280 },
          "model": {
            "kind": "decoder", "width": 16, "embeddingScale": 1,
            "decoder": {
              "layers": 1, "attention": { "kind": "multi-head", "heads": 2, "position": { "kind": "rotary" } },
              "feedForward": { "kind": "swiglu", "hidden": 32 }
            }
          },
          "data": { "kind": "text", "path": "text.txt", "testFraction": 0.1 },
          "batches": { "tokens": 256, "length": 32 },
          "phases": [{ "steps": 13, "learningRate": 0.01 }],
          "validation": { "everySteps": 5 },
          "checkpoints": { "everySteps": 5, "keep": 3 }
        }
        """;

    public string Folder { get; } = Directory.CreateTempSubdirectory("tessera-text").FullName;

    public Outcome Training { get; }

    public Outcome Tessera(params string[] arguments) => TesseraProcess.Run(Folder, arguments);

    public string In(params string[] path) => Path.Combine([Folder, .. path]);

    public void Write(string name, string text) => File.WriteAllText(In(name), text);

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
