using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using Tessera.Models.Recipes;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera recipe new FILE</c>: a first recipe, to be trained as it is or changed.</summary>
internal static class NewRecipe
{
    private static readonly JsonSerializerOptions s_written = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private const string Translates = "encoder-decoder", Continues = "decoder";

    public static Command Create()
    {
        var recipe = new Argument<string>("recipe") { Description = "The file to write; the recipe is called as the file is." };
        var text = new Option<string?>("--text") { Description = "Learn plain text: a folder of .txt, .md and .cs files, or one file." };
        var pairs = new Option<string?>("--pairs")
        {
            Description = "Learn pairs: a file of lines {\"source\": …, \"target\": …}.",
        };
        var parallel = new Option<string[]>("--parallel")
        {
            Description = "Learn pairs: a file of sources and a file of as many targets, a line each.", Arity = new ArgumentArity(2, 2),
            AllowMultipleArgumentsPerToken = true,
        };
        var model = new Option<string?>("--model")
        {
            Description = $"'{Continues}', which goes on with a text, or '{Translates}', which reads a source and writes a target; "
                + $"unless said {Continues} for text, {Translates} for pairs.",
        };
        var force = new Option<bool>("--force") { Description = "Replace a file that is there already." };
        var command = new Command("new", CommonOptions.WithExamples(
            "Writes a first recipe: a small model for your data, which trains for ten minutes.",
            "tessera recipe new notes.json --text notes",
            "tessera recipe new translate.json --parallel train.java train.cs",
            "tessera recipe new answers.json --pairs questions.jsonl --model decoder")) { recipe, text, pairs, parallel, model, force };
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(recipe);
            var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            var files = parsed.GetValue(parallel) is { Length: 2 } two ? two : null;
            var (data, ofPairs) = Data(folder, parsed.GetValue(text), parsed.GetValue(pairs), files);
            var kind = parsed.GetValue(model) ?? (ofPairs ? Translates : Continues);
            if (kind is not (Translates or Continues))
                throw new ArgumentException($"--model is '{kind}'; allowed: {Continues}, {Translates}");
            if (kind == Translates && !ofPairs)
                throw new ArgumentException($"--model is {Translates}, which needs pairs; allowed with --text: {Continues}");
            if (File.Exists(path) && !parsed.GetValue(force))
                throw new IOException($"'{path}' is there already; use --force to replace it");
            Write(path, Text(Path.GetFileNameWithoutExtension(path), kind, data));
            return CommandRunner.Success;
        });
        return command;
    }

    /// <summary>The recipe's section on its data, and whether these are pairs.</summary>
    private static (string Data, bool OfPairs) Data(string folder, string? text, string? pairs, string[]? parallel)
    {
        if ((text is null ? 0 : 1) + (pairs is null ? 0 : 1) + (parallel is null ? 0 : 1) != 1)
            throw new ArgumentException("what to learn from is said once: by --text, --pairs or --parallel");
        string[] paths = text is not null ? [text] : pairs is not null ? [pairs] : parallel!;
        foreach (var missing in paths.Where(path => !Path.Exists(path))) CommonOptions.Note($"there is no '{missing}' yet");
        string[] from = [.. paths.Select(path => Path.GetRelativePath(folder, Path.GetFullPath(path)).Replace('\\', '/'))];
        return text is not null ? ($$"""{ "kind": "text", "path": {{Quoted(from[0])}} }""", false)
            : pairs is not null ? ($$"""{ "kind": "jsonl", "train": {{Quoted(from[0])}} }""", true)
            : ($$"""{ "kind": "parallel-files", "trainSource": {{Quoted(from[0])}}, "trainTarget": {{Quoted(from[1])}} }""", true);
    }

    private static string Quoted(string text) => JsonSerializer.Serialize(text, s_written);

    private static string Text(string name, string kind, string data)
    {
        const string Stack = """
            {
                  "layers": 4,
                  "attention": { "kind": "multi-head", "heads": 4, "position": { "kind": "rotary" } },
                  "feedForward": { "kind": "swiglu", "hidden": 512 },
                  "dropout": 0.1
                }
            """;
        var encoder = kind == Translates
            ? $"\"encoder\": {Stack.Replace("{\n", "{\n      \"kind\": \"transformer\",\n", StringComparison.Ordinal)},\n    "
            : "";
        var (lengths, metrics) = kind == Translates
            ? ("\"length\": 128, \"sourceLength\": 128", "[\"bleu-4\", \"exact-match\", \"perplexity\"]")
            : ("\"length\": 256", "[\"perplexity\"]");
        return $$"""
            {
              "name": {{Quoted(name)}},
              "seed": 1,
              "tokenizer": { "vocabulary": 4096 },
              "model": {
                "kind": "{{kind}}", "width": 256, "tieEmbeddings": true,
                {{encoder}}"decoder": {{Stack}}
              },
              "data": {{data}},
              "batches": { "tokens": 2048, {{lengths}} },
              "optimizer": { "kind": "adamw" },
              "phases": [
                { "minutes": 10, "learningRate": 1e-3, "schedule": { "kind": "cosine", "warmupSteps": 100, "minimum": 0.1 } }
              ],
              "validation": { "everySteps": 100 },
              "evaluate": {{metrics}}
            }

            """;
    }

    /// <summary>Writes a recipe that has been read once, so that nothing that cannot be trained is left behind.</summary>
    private static void Write(string path, string text)
    {
        Recipe.Read(RecipeJson.Parse(text, path));
        File.WriteAllText(path, text);
        Console.Out.WriteLine($"{path} is written; look at it by 'tessera recipe show {path}', train it by 'tessera train {path}'");
    }
}
