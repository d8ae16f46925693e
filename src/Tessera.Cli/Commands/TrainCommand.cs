using System.CommandLine;
using System.Globalization;
using Tessera.Cli.Terminal;
using Tessera.Evaluation.Tasks;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera train RECIPE</c>.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var recipe = new Argument<string>("recipe") { Description = "A recipe: a JSON file that names data, model and phases." };
        var output = new Option<string?>("--out") { Description = "The run's folder; runs/NAME unless given." };
        var data = new Option<string?>("--data")
        {
            Description = "The folder that the recipe's data paths start from; the recipe's own unless given.",
        };
        var resume = new Option<bool>("--resume")
        {
            Description = "Go on with the run in the folder from its newest whole checkpoint; begins it where it has not begun.",
        };
        var (set, json) = (CommonOptions.Set(), CommonOptions.Json());
        var command = new Command("train", CommonOptions.WithExamples(
            "Trains the model of a recipe. Ctrl-C saves a checkpoint; --resume goes on from there, with the run's own recipe: settings "
            + "need not be given again.",
            "tessera train recipes/quickstart.json",
            "tessera train recipes/java-cs.json --data ../java-cs --out runs/translate",
            "tessera train recipes/quickstart.json --set model.decoder.layers=2 --set phases[0].minutes=1",
            "tessera train recipes/quickstart.json --resume")) { recipe, output, data, resume, set, json };
        command.SetAction((parsed, cancellation) =>
        {
            var path = parsed.GetRequiredValue(recipe);
            var settings = parsed.GetValue(set) ?? [];
            var isResumed = parsed.GetValue(resume);
            var loaded = Recipe.Load(path, settings, CommonOptions.Note);
            Metric.RequireKnown(loaded.Evaluate);
            var folder = parsed.GetValue(output) ?? Path.Combine("runs", loaded.Name);
            var begun = new RunFolder(folder);
            if (isResumed && begun.HasRun) loaded = ResumedRecipe.Of(begun, loaded, settings, CommonOptions.Note);
            var from = parsed.GetValue(data)
                ?? (isResumed && begun.HasRun ? File.ReadAllText(begun.Origin).Trim() : Path.GetDirectoryName(Path.GetFullPath(path))!);
            Run(loaded, folder, from, isResumed, new Screen(parsed.GetValue(json)), cancellation, parsed.GetValue(CommonOptions.Parts) ?? []);
            return Task.FromResult(CommandRunner.Success);
        });
        return command;
    }

    /// <summary>Trains under a display; also for quickstart.</summary>
    public static void Run(
        Recipe recipe, string folder, string recipeFolder, bool resume, Screen screen, CancellationToken cancellation,
        params IReadOnlyList<string> parts)
    {
        var run = new RunFolder(folder);
        if (!resume && run.HasRun)
            throw new IOException($"'{folder}' already holds a run; use --resume to go on with it, or --out to name another folder");
        try
        {
            new TrainingDisplay(screen).Run(report => Trainer.Run(recipe, folder, report, recipeFolder, resume, cancellation));
        }
        catch (OperationCanceledException) when (run.HasRun)
        {
            TellHowToGoOn(run, parts, screen);
            throw;
        }

        screen.Line($"The model is in {folder}");
    }

    /// <summary>Tells which checkpoints a stopped run has, and the command that goes on with it. The run's own recipe has every setting
    /// that it was begun with.</summary>
    private static void TellHowToGoOn(RunFolder run, IReadOnlyList<string> parts, Screen screen)
    {
        var checkpoints = run.SavedCheckpoints();
        string[] words =
            ["tessera", "train", run.Recipe, "--out", run.Path, "--resume", .. parts.SelectMany(part => new[] { "--parts", part })];
        var command = string.Join(' ', words.Select(Quoted));
        screen.Json(new { @event = "stopped", checkpoints, resume = command });
        screen.Line(checkpoints.Count == 0
            ? "no checkpoint was made yet"
            : $"checkpoints in {run.Checkpoints}: {string.Join(", ", checkpoints.Select(Describe))}");
        screen.Line($"go on with: {command}");

        static string Quoted(string word) => word.Any(char.IsWhiteSpace) ? $"\"{word}\"" : word;

        static string Describe(RunCheckpoint checkpoint) => string.Create(
            CultureInfo.InvariantCulture,
            $"step {checkpoint.Step}{(checkpoint.Loss is { } loss ? $" (validation loss {loss:F3})" : "")}");
    }
}
