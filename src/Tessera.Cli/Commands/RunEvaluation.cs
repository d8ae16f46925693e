using System.Diagnostics;
using Tessera.Cli.Terminal;
using Tessera.CSharp.Validation;
using Tessera.Evaluation.Reports;
using Tessera.Evaluation.Tasks;
using Tessera.Generation;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Text.Corpora;
using Tessera.Training;

namespace Tessera.Cli.Commands;

/// <summary>A model that is evaluated, with the run that it is of.</summary>
/// <param name="Path">As it was named.</param>
/// <param name="Run">The run; null where it is of none.</param>
/// <param name="Recipe">The run's recipe; null where it is of none.</param>
/// <param name="Model">The model.</param>
/// <param name="Checkpoint">Which checkpoint of the run; null for its finished model.</param>
internal sealed record RunEvaluation(string Path, RunFolder? Run, Recipe? Recipe, ModelFolder Model, string? Checkpoint)
{
    /// <summary>Loads a model.</summary>
    /// <param name="path">A run, a checkpoint of one, or any model.</param>
    /// <param name="checkpoint">Which checkpoint of a run; null for its finished model.</param>
    public static RunEvaluation Load(string path, string? checkpoint)
    {
        var run = RunModel.RunOfCheckpoint(path) ?? (new RunFolder(path) is { HasRun: true } folder ? folder : null);
        var model = RunModel.Load(path, checkpoint);
        var name = RunModel.RunOfCheckpoint(path) is not null
            ? System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(path))
            : checkpoint;
        return new RunEvaluation(path, run, run is null ? null : Recipe.Load(run.Recipe), model, name);
    }

    /// <summary>Evaluates on held-out examples.</summary>
    /// <param name="corpus">The examples.</param>
    /// <param name="recipe">Says which lengths were learned; null where nothing does.</param>
    /// <param name="request">What to measure.</param>
    /// <param name="screen">Shows the figures.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    public EvaluationResult OnCorpus(
        Corpus corpus, Recipe? recipe, EvaluationRequest request, Screen screen, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        if (request.Beside is var (name, other)) request = request with { Beside = (name, Shortened(other, recipe)) };
        var result = Watch(screen, progress => HeldOutEvaluation.Run(
            Shortened(Model, recipe), corpus, request, Recipe?.Seed ?? 1, progress, cancellation));
        return Keep(result, corpus.Origin, Options(request), clock, request.Metrics, screen);
    }

    /// <summary>Measures the perplexity on texts.</summary>
    public EvaluationResult OnTexts(
        NamedTexts texts, (string Name, ModelFolder Model)? beside, Screen screen, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var evaluation = texts.Evaluation with { Beside = beside };
        var result = Watch(screen, progress => evaluation.Run(Model, texts.Texts, progress, cancellation));
        var windows = result.Windows!;
        var options = $"windows of {windows.Context} tokens, {windows.Stride} apart{(beside is var (name, _) ? $", beside {name}" : "")}";
        return Keep(result, texts.Name, options, clock, Metric.Named(TextEvaluation.Metrics, new CSharpSyntaxValidator()), screen);
    }

    /// <summary>A published model may read far longer texts than are learned here.</summary>
    private static ModelFolder Shortened(ModelFolder model, Recipe? recipe)
    {
        const int Usual = 1024;
        return model with { Config = model.Config with { Length = Math.Min(model.Config.Length, recipe?.MaxLength ?? Usual) } };
    }

    private static string Options(EvaluationRequest request)
    {
        var decoding = request.Decoding switch
        {
            BeamOptions beam => $"beam search of width {beam.Width}",
            SamplingOptions => "sampling",
            _ => "greedy choice",
        };
        var changed = RecipeJson.FirstDifference(RecipeJson.Tree(request.Decoding), RecipeJson.Tree(new GreedyOptions())) is null
            ? ""
            : $" {RecipeJson.Tree(request.Decoding).ToJsonString()}";
        return $"{decoding}{changed}{(request.Baselines ? "" : ", no baselines")}"
            + (request.Beside is var (name, _) ? $", beside {name}" : "");
    }

    private EvaluationResult Keep(
        EvaluationResult result, string data, string options, Stopwatch clock, IReadOnlyList<Metric> metrics, Screen screen)
    {
        result = result with
        {
            Origin = new EvaluationOrigin(
                DateTime.UtcNow, Path, Checkpoint, Checkpoint is null ? Model.Config.WeightsHash : null, data, options,
                clock.Elapsed.TotalSeconds, EvaluationOrigin.ThisMachine),
        };
        var units = result.Windows is null ? "examples" : result.Examples == 1 ? "file" : "files";
        screen.Heading($"{result.Examples} {result.Split} {units}");
        screen.Evaluation(result, metrics);
        if (Run is null || Recipe is null) return result;
        var all = new EvaluationStore(Run).Save(result);
        var report = new RunReport(Recipe, Model, RunRecord.Read(Run), MetricsLog.Read(Run.Metrics), all, new CSharpSyntaxValidator());
        HtmlReport.Write(Run.In("report.html"), report.Data());
        screen.Line($"Report: {Run.In("report.html")}");
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
