using System.Security.Cryptography;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training.Tests;

/// <summary>A folder, gone after the test, with a corpus of pairs and the runs of tiny models on it.</summary>
internal sealed class TrainingFolder : IDisposable
{
    private const string Decoder = """
        { "layers": 1, "dropout": 0.1,
          "attention": { "kind": "multi-head", "heads": 2, "position": { "kind": "rotary" } },
          "feedForward": { "kind": "experts", "shared": 1, "routed": 3, "active": 1,
                           "router": { "kind": "two-stage" }, "expert": { "kind": "swiglu", "hidden": 16 } } }
        """;

    private static readonly string s_pairsModel = $$"""
        { "kind": "encoder-decoder", "width": 16, "tieEmbeddings": true, "shareEmbeddings": true,
          "encoder": { "kind": "lstm", "layers": 1, "hidden": 8, "bidirectional": true }, "decoder": {{Decoder}} }
        """;

    private static readonly string s_textModel = $$"""{ "kind": "decoder", "width": 16, "tieEmbeddings": true, "decoder": {{Decoder}} }""";

    public TrainingFolder(int pairs = 60)
    {
        WritePairs("train.jsonl", 0, pairs);
        WritePairs("validation.jsonl", 1000, 10);
    }

    public string Path { get; } = Directory.CreateTempSubdirectory("tessera-").FullName;

    /// <summary>A recipe of 12 steps on pairs, about 7,000 parameters; settings as <c>--set</c> takes them.</summary>
    public static Recipe Recipe(params string[] settings) => Read(s_pairsModel, settings);

    /// <summary>The same with a decoder alone, on packed texts.</summary>
    public static Recipe TextRecipe(params string[] settings) => Read(s_textModel, settings);

    public void Dispose() => Directory.Delete(Path, recursive: true);

    public string In(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Sources of two words and targets of the same words turned around.</summary>
    public void WritePairs(string file, int first, int count)
    {
        string[] words = ["red", "green", "blue", "one", "two", "three", "north", "south"];
        File.WriteAllLines(In(file), Enumerable.Range(first, count).Select(i =>
                    $$"""{"source":"{{words[i % 8]}} {{words[i / 8 % 8]}} {{i}}","target":"{{i}} {{words[i / 8 % 8]}} {{words[i % 8]}}","group":"{{i}}"}"""
                )
        );
    }

    /// <summary>Trains in a folder under this one and gives what was reported.</summary>
    public List<TrainingEvent> Train(
        Recipe recipe, string run = "run", bool resume = false, Action<TrainingEvent>? also = null,
        CancellationToken cancellation = default)
    {
        var events = new List<TrainingEvent>();
        Trainer.Run(
            recipe, In(run),
            happened =>
            {
                events.Add(happened);
                also?.Invoke(happened);
            },
            Path, resume, cancellation);
        return events;
    }

    /// <summary>Trains and stops, as by a crash, right after the given step was done.</summary>
    public void Crash(Recipe recipe, long afterStep, string run = "run", bool resume = false) =>
        Assert.Throws<CrashException>(() => Train(recipe, run, resume, happened =>
        {
            if (happened is StepDone { Step: var step } && step == afterStep) throw new CrashException();
        }));

    /// <summary>The loss of a finished model on the validation examples, in nats a token.</summary>
    public static double Loss(ModelFolder model, Corpus corpus, BatchOptions batches)
    {
        var objective = ObjectiveOptions.Of(model);
        return HeldOutLoss.Measure(objective, objective.Prepare(corpus.Validation, batches), 500).Mean;
    }

    /// <summary>A hash of a run's finished weights.</summary>
    public string Weights(string run = "run") => Hash(In($"{run}/model.safetensors"));

    /// <summary>The losses of the steps that were reported.</summary>
    public static double[] Losses(IEnumerable<TrainingEvent> events) => [.. events.OfType<StepDone>().Select(done => done.Loss)];

    public static string Hash(string path) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));

    private static Recipe Read(string model, string[] settings) => Training.Recipe.Read(RecipeJson.Parse($$"""
        { "name": "tiny", "tokenizer": { "vocabulary": 280 }, "model": {{model}},
          "data": { "kind": "jsonl", "train": "train.jsonl", "validation": "validation.jsonl", "testFraction": 0 },
          "batches": { "tokens": 128, "length": 32, "sourceLength": 32 },
          "phases": [ { "steps": 12, "learningRate": 0.01, "schedule": { "kind": "constant" }, "losses": { "balance": 0.01 } } ],
          "validation": { "everySteps": 1000 }, "checkpoints": { "everySteps": 5 } }
        """, "tiny.json"), settings);

    public sealed class CrashException : Exception;
}
