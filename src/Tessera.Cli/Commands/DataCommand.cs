using System.CommandLine;
using System.Globalization;
using Tessera.Cli.Terminal;
using Tessera.CSharp.Corpora;
using Tessera.Text.Corpora;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera data [RECIPE]</c>.</summary>
internal static class DataCommand
{
    public static Command Create()
    {
        var recipe = new Argument<string?>("recipe")
        {
            Description = "A recipe, for its data; the API pairs of the installed SDK unless given.", Arity = ArgumentArity.ZeroOrOne,
        };
        var output = new Option<string?>("--out") { Description = "A folder to write train.jsonl, validation.jsonl and test.jsonl to." };
        var force = new Option<bool>("--force") { Description = "Replace files of --out that are there already." };
        var samples = new Option<int>("--samples") { Description = "How many examples to show.", DefaultValueFactory = _ => 5 };
        var data = new Option<string?>("--data")
        {
            Description = "The folder that the recipe's data paths start from; the recipe's own unless given.",
        };
        var (set, json) = (CommonOptions.Set(), CommonOptions.Json());
        var command = new Command("data", CommonOptions.WithExamples(
            "Shows what a corpus holds, and writes it to files.",
            "tessera data",
            "tessera data --out pairs --samples 20",
            "tessera data recipes/java-cs.json --data ../java-cs")) { recipe, output, force, samples, data, set, json };
        command.SetAction((parsed, cancellation) =>
        {
            if (parsed.GetValue(samples) < 0) throw new ArgumentException($"--samples is {parsed.GetValue(samples)}; allowed: at least 0");
            if (parsed.GetValue(force) && parsed.GetValue(output) is null)
                throw new ArgumentException("--force does nothing without --out");
            if (parsed.GetValue(output) is { } target && !parsed.GetValue(force)
                && ExampleFiles.Names.Select(name => Path.Combine(target, name)).FirstOrDefault(File.Exists) is { } there)
                throw new IOException($"'{there}' is there already; use --force to replace it, or name another folder");
            var (options, from) = Corpus(parsed.GetValue(recipe), parsed.GetValue(set) ?? []);
            var corpus = options.Load(parsed.GetValue(data) ?? from, cancellation);
            var screen = new Screen(parsed.GetValue(json));
            Show(corpus, parsed.GetValue(samples), screen);
            if (parsed.GetValue(output) is { } folder)
            {
                ExampleFiles.Write(corpus, folder);
                screen.Line($"Written to {folder}: train.jsonl, validation.jsonl, test.jsonl");
            }

            return Task.FromResult(CommandRunner.Success);
        });
        return command;
    }

    private static (CorpusOptions Options, string From) Corpus(string? recipe, string[] settings) => recipe is null
        ? (new ApiPairsOptions(), Directory.GetCurrentDirectory())
        : (Recipe.Load(recipe, settings, CommonOptions.Note).Data, Path.GetDirectoryName(Path.GetFullPath(recipe))!);

    private static void Show(Corpus corpus, int samples, Screen screen)
    {
        if (corpus.Origin.Length > 0) screen.Line(corpus.Origin);
        (string Name, IReadOnlyList<Example> Examples)[] splits =
            [("train", corpus.Train), ("validation", corpus.Validation), ("test", corpus.Test)];
        screen.Table(
            ["split", "examples", "groups", "source characters", "target characters"],
            splits.Select(split => (IReadOnlyList<string>)
            [
                split.Name, Count(split.Examples.Count), Count(split.Examples.Select(example => example.Group).Distinct().Count()),
                Mean(split.Examples, example => example.Source?.Length ?? 0), Mean(split.Examples, example => example.Target.Length),
            ]));
        foreach (var (reason, count) in corpus.Dropped) screen.Line($"left out: {Count(count)} ({reason})");
        screen.Json(new
        {
            @event = "corpus", corpus.Origin, train = corpus.Train.Count, validation = corpus.Validation.Count,
            test = corpus.Test.Count, corpus.Dropped,
        });
        for (var i = 0; i < Math.Min(samples, corpus.Train.Count); i++)
        {
            var example = corpus.Train[(int)((long)i * corpus.Train.Count / samples)];
            screen.Json(new { @event = "sample", example.Source, example.Target, example.Group });
            screen.Line();
            if (example.Source is not null) screen.Line($"  {example.Source}");
            screen.Line($"  {(example.Source is null ? "" : "→ ")}{example.Target}");
        }
    }

    private static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    private static string Mean(IReadOnlyList<Example> examples, Func<Example, int> length) =>
        examples.Count == 0 ? "–" : examples.Average(length).ToString("F1", CultureInfo.InvariantCulture);
}
