using System.CommandLine;
using System.Text.Json;
using Tessera.Cli.Terminal;
using Tessera.CSharp.Validation;
using Tessera.Evaluation.Reports;
using Tessera.Evaluation.Tasks;
using Tessera.Models;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera evaluate RUN</c>.</summary>
internal static class EvaluateCommand
{
    private static readonly string[] s_usual = ["bleu-4", "exact-match", "perplexity"], s_usualOfLabels = ["accuracy", "perplexity"];

    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "The folder of a finished run." };
        var metrics = new Option<string[]>("--metric")
        {
            Description = $"A metric, instead of the recipe's; may be repeated: {string.Join(", ", Metric.Names)}.",
            DefaultValueFactory = _ => [],
        };
        var examples = new Option<int>("--examples")
        {
            Description = "How many held-out examples at most.", DefaultValueFactory = _ => 500,
        };
        var noBaselines = new Option<bool>("--no-baselines")
        {
            Description = "Leave out the nearest training pair and the untrained model.",
        };
        var data = new Option<string?>("--data")
        {
            Description = "The folder that the recipe's data paths start from; as in training unless given.",
        };
        var (decoding, force, json) = (new DecodingArguments(), CommonOptions.Force(), CommonOptions.Json());
        var command = new Command("evaluate", CommonOptions.WithExamples(
            "Measures a trained model on held-out examples beside two baselines, and writes evaluation.json and report.html into the run.",
            "tessera evaluate runs/quickstart",
            "tessera evaluate runs/quickstart --beam 5 --examples 200",
            "tessera evaluate runs/java-cs --metric codexglue-bleu --metric exact-match --no-baselines"))
        {
            run, metrics, examples, noBaselines, data, force, json,
        };
        decoding.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var count = parsed.GetValue(examples);
            if (count < 1) throw new ArgumentException($"--examples is {count}; allowed: at least 1");
            var folder = new RunFolder(parsed.GetRequiredValue(run));
            var model = ModelFolder.Load(folder.Path);
            CommonOptions.RequireMemory(MachineMemory.BytesOf(model.Model), "the model's weights", parsed.GetValue(force));
            MachineMemory.Touch(model.Model, cancellation);
            var recipe = Recipe.Load(folder.Recipe);
            var names = parsed.GetValue(metrics) is { Length: > 0 } given ? given
                : recipe.Evaluate.Count > 0 ? [.. recipe.Evaluate]
                : model.Model.Generates ? s_usual : s_usualOfLabels;
            var validator = new CSharpSyntaxValidator();
            var request = new EvaluationRequest(
                Metric.Named(names, validator), decoding.Read(parsed), validator, count, !parsed.GetValue(noBaselines),
                recipe.Phases[^1].Objective);
            Run(folder, recipe, model, request, parsed.GetValue(data), new Screen(parsed.GetValue(json)), cancellation);
            return Task.FromResult(CommandRunner.Success);
        });
        return command;
    }

    /// <summary>Evaluates a run and writes its report; also for quickstart.</summary>
    public static EvaluationResult Run(
        RunFolder folder, Recipe recipe, ModelFolder model, EvaluationRequest request, string? dataFolder, Screen screen,
        CancellationToken cancellation)
    {
        // A published model may read far longer texts than it was trained on here.
        model = model with { Config = model.Config with { Length = Math.Min(model.Config.Length, recipe.MaxLength) } };
        var origin = dataFolder ?? File.ReadAllText(folder.Origin).Trim();
        var corpus = recipe.Data.Load(origin, cancellation);
        var result = Watch(screen, progress => HeldOutEvaluation.Run(model, corpus, request, recipe.Seed, progress, cancellation));
        RunFolder.Write(folder.In("evaluation.json"), JsonSerializer.Serialize(result, JsonOutput.Options) + "\n");
        HtmlReport.Write(folder.In("report.html"), RunReport.Of(recipe, model, MetricsLog.Read(folder.Metrics), result, request.Metrics));

        screen.Heading($"{result.Examples} {result.Split} examples");
        screen.Evaluation(result, request.Metrics);
        screen.Line($"Report: {folder.In("report.html")}");
        return result;
    }

    private static EvaluationResult Watch(Screen screen, Func<Action<string>, EvaluationResult> evaluate)
    {
        if (!screen.IsInteractive) return evaluate(_ => { });
        EvaluationResult? result = null;
        new Spectre.Console.Status(screen.Terminal).Start(
            "evaluating", status => result = evaluate(text => status.Status = Spectre.Console.Markup.Escape(text)));
        return result!;
    }
}
