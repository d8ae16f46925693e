using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Tessera.Cli.Terminal;
using Tessera.CSharp.Validation;
using Tessera.Evaluation.Tasks;
using Tessera.Generation;
using Tessera.Models;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera quickstart</c>: real data to a trained model, a table and a report.</summary>
internal static class QuickstartCommand
{
    private static readonly string[] s_prompts =
    [
        "Returns the larger of two numbers. [Math]",
        "Gets the number of elements contained in the collection.",
        "Occurs when the connection is closed. [Connection]",
    ];

    public static Command Create()
    {
        var output = new Option<string>("--out")
        {
            Description = "The run's folder; what an earlier quickstart left there is replaced.",
            DefaultValueFactory = _ => Path.Combine("runs", "quickstart"),
        };
        var minutes = new Option<double?>("--minutes") { Description = "How long to train; 4 unless given." };
        var examples = new Option<int>("--examples")
        {
            Description = "How many held-out examples to evaluate on.", DefaultValueFactory = _ => 400,
        };
        var (set, json) = (CommonOptions.Set(), CommonOptions.Json());
        var command = new Command("quickstart", CommonOptions.WithExamples(
            "Learns C# declarations from the documentation of the .NET SDK on this machine: reads the data, trains a tokenizer and a "
            + "model, evaluates it on types it has not seen, and writes a report. Under 6 minutes on 2 cores.",
            "tessera quickstart",
            "tessera quickstart --minutes 1 --out runs/small",
            "tessera quickstart --set model.decoder.layers=2")) { output, minutes, examples, set, json };
        command.SetAction((parsed, cancellation) =>
        {
            var settings = parsed.GetValue(set)!.ToList();
            if (parsed.GetValue(minutes) is { } wanted)
                settings.Insert(0, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"phases[0].minutes={wanted}"));
            if (parsed.GetValue(examples) < 1)
                throw new ArgumentException($"--examples is {parsed.GetValue(examples)}; allowed: at least 1");
            var screen = new Screen(parsed.GetValue(json));
            Run(Recipes.Quickstart(settings), parsed.GetValue(output)!, parsed.GetValue(examples), screen, cancellation);
            return Task.FromResult(CommandRunner.Success);
        });
        return command;
    }

    private static void Run(Recipe recipe, string output, int examples, Screen screen, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        Clear(output);
        screen.Heading("1. Training");
        TrainCommand.Run(recipe, output, Directory.GetCurrentDirectory(), resume: false, screen, cancellation);

        screen.Line();
        screen.Heading("2. Evaluation");
        var (folder, model) = (new RunFolder(output), ModelFolder.Load(output));
        var validator = new CSharpSyntaxValidator();
        var request = new EvaluationRequest(Metric.Named(recipe.Evaluate, validator), new GreedyOptions(), validator, examples);
        EvaluateCommand.Run(folder, recipe, model, request, dataFolder: null, screen, cancellation);

        screen.Line();
        screen.Heading("3. Generation");
        Generate(model, screen, cancellation);
        screen.Line();
        screen.Line($"{clock.Elapsed:m\\:ss} minutes in all. Try: tessera generate {output} \"Removes all items from the list. [List]\"");
    }

    /// <summary>Removes the run that an earlier quickstart left, and nothing that is not one.</summary>
    private static void Clear(string output)
    {
        if (!Directory.Exists(output) || !Directory.EnumerateFileSystemEntries(output).Any()) return;
        var folder = new RunFolder(output);
        if (!folder.HasRun || !IsQuickstart(folder.Recipe))
            throw new IOException($"'{output}' holds something else than an earlier quickstart; name another folder with --out");
        Directory.Delete(output, recursive: true);
    }

    private static bool IsQuickstart(string recipe)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllText(recipe));
            return json.RootElement.TryGetProperty("name", out var name) && name.GetString() == "quickstart";
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static void Generate(ModelFolder model, Screen screen, CancellationToken cancellation)
    {
        var validator = new CSharpSyntaxValidator();
        var texts = new LanguageModel(model).Generate(s_prompts, new BeamOptions(), cancellation: cancellation);
        for (var i = 0; i < s_prompts.Length; i++)
        {
            var valid = validator.IsValid(texts[i].Text);
            screen.Json(new { @event = "generated", prompt = s_prompts[i], text = texts[i].Text, valid });
            screen.Line($"  {s_prompts[i]}");
            screen.Line($"    {texts[i].Text}{(valid ? "" : "   (not valid C#)")}");
        }
    }
}
