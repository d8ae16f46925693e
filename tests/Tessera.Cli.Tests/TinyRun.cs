namespace Tessera.Cli.Tests;

/// <summary>A folder with a small corpus, a recipe, and one run of it that all tests share and none changes.</summary>
public sealed class TinyRun : IDisposable
{
    private static readonly string[] s_words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];

    public TinyRun()
    {
        var random = new Random(1);
        string[][] sources = [.. Enumerable.Range(0, 60).Select(_ => random.GetItems(s_words, 3))];
        Write("sources.txt", string.Concat(sources.Select(words => string.Join(' ', words) + "\n")));
        Write("targets.txt", string.Concat(sources.Select(words => string.Join(' ', words.Reverse()).ToUpperInvariant() + "\n")));
        Write("tiny.json", Recipe);
        Training = TesseraProcess.Run(Folder, ["train", "tiny.json", "--out", "run", "--json"]);
    }

    public const string Recipe = """
        {
          "name": "tiny",
          "tokenizer": { "vocabulary": 300 },
          "model": {
            "kind": "encoder-decoder", "width": 16, "tieEmbeddings": true,
            "encoder": { "kind": "lstm", "layers": 1, "hidden": 8, "bidirectional": true },
            "decoder": {
              "layers": 1,
              "attention": { "kind": "multi-head", "heads": 2, "position": { "kind": "rotary" } },
              "feedForward": { "kind": "experts", "shared": 1, "routed": 2, "active": 1, "router": { "kind": "two-stage" }, "expert": { "kind": "swiglu", "hidden": 16 } }
            }
          },
          "data": { "kind": "parallel-files", "trainSource": "sources.txt", "trainTarget": "targets.txt", "validationFraction": 0.1, "testFraction": 0.1 },
          "batches": { "tokens": 256, "length": 40, "sourceLength": 40 },
          "phases": [{ "steps": 6, "losses": { "balance": 0.01 } }],
          "validation": { "everySteps": 3 },
          "checkpoints": { "everySteps": 3 },
          "evaluate": ["bleu-4", "exact-match", "perplexity", "expert-use", "speed"]
        }
        """;

    public string Folder { get; } = Directory.CreateTempSubdirectory("tessera-cli").FullName;

    /// <summary>What <c>tessera train --json</c> printed.</summary>
    public Outcome Training { get; }

    public Outcome Tessera(params string[] arguments) => TesseraProcess.Run(Folder, arguments);

    public string In(params string[] path) => Path.Combine([Folder, .. path]);

    public void Write(string name, string text) => File.WriteAllText(In(name), text);

    /// <summary>A copy of the run, to be damaged.</summary>
    public string CopyOfRun(string name)
    {
        foreach (var file in Directory.GetFiles(In("run"), "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(In(name), Path.GetRelativePath(In("run"), file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        return In(name);
    }

    /// <summary>Changes one byte of a file; counted from its end where <paramref name="place"/> is negative.</summary>
    public static void Flip(string path, int place)
    {
        var bytes = File.ReadAllBytes(path);
        bytes[place < 0 ? bytes.Length + place : place] ^= 0x55;
        File.WriteAllBytes(path, bytes);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

/// <summary>The classes that share the run; one process at a time.</summary>
[CollectionDefinition(Name)]
public sealed class TinyRunCollection : ICollectionFixture<TinyRun>
{
    public const string Name = "tiny run";
}
