using System.Globalization;
using Tessera.Evaluation.Tasks;
using Tessera.Generation.Validation;
using Tessera.Models;
using Tessera.Training;

namespace Tessera.Evaluation.Reports;

/// <summary>The report of a run: what was trained, for how long and on what, how its loss fell, what it reached beside the baselines, how
/// its experts were used, samples, its recipe.</summary>
/// <param name="Recipe">The run's recipe.</param>
/// <param name="Model">Its model.</param>
/// <param name="Record">What the run wrote down of itself; null where it has no <c>run.json</c>.</param>
/// <param name="Events">What its <c>metrics.jsonl</c> holds.</param>
/// <param name="Evaluations">Its evaluations, at least one, the newest first. <see cref="EvaluationStore.Main"/> is shown whole, all of them
/// in a table.</param>
/// <param name="Validator">Names the language of <c>validity</c>.</param>
public sealed record RunReport(
    Recipe Recipe, ModelFolder Model, RunRecord? Record, IReadOnlyList<TrainingEvent> Events, IReadOnlyList<EvaluationResult> Evaluations,
    SyntaxValidator Validator)
{
    /// <summary>Gathers the report.</summary>
    public ReportData Data()
    {
        var main = EvaluationStore.Main(Evaluations);
        return new ReportData($"Tessera: {Recipe.Name}")
        {
            Facts = [.. Facts(main)],
            Tables = [.. Tables(main)],
            Curves = Curves(),
            Loads = main.ExpertUse.Count == 0
                ? []
                :
                [
                    new ExpertLoad(
                        "Use of the routed experts",
                        [.. main.ExpertUse.Values.Select(layer => layer.Select(count => (double)count).ToList())]),
                ],
            Samples = [.. main.Samples.Select(sample => new ReportSample(sample.Source, sample.Reference, sample.Output, sample.Valid))],
            Documents = [("Recipe", Recipe.ToJson())],
        };
    }

    private IEnumerable<(string Key, string Value)> Facts(EvaluationResult main)
    {
        yield return ("Parameters", Count(Model.Model.ParameterCount()));
        yield return ("Active for a token", Count(Model.Model.ActiveParameterCount()));
        yield return ("Vocabulary", Count(Model.Config.Vocabulary));
        yield return ("Steps", Count(Steps));
        if (Record?.ModelStep is { } step && step != Steps) yield return ("Weights of step", Count(step));
        yield return ("Tokens learned from", Count(Record?.Tokens ?? Events.OfType<StepDone>().LastOrDefault()?.Tokens ?? 0));
        if (Record is not null)
        {
            yield return ("Examples", Count(Record.Examples));
            yield return ("Time in steps", Duration(Record.TrainingSeconds));
            yield return ("Time in all", Duration(Record.Seconds));
        }

        yield return ("Seed", Recipe.Seed.ToString(CultureInfo.InvariantCulture));
        foreach (var fact in Stretch()) yield return fact;
        yield return ("Evaluated on", $"{main.Examples} {main.Split} examples");
        if (main.Origin is not { } origin) yield break;
        yield return ("Evaluated", Date(origin.Date));
        if (origin.Checkpoint is { } checkpoint) yield return ("Checkpoint", checkpoint);
        yield return ("Data", origin.Data);
        yield return ("Evaluated with", origin.Options);
    }

    /// <summary>Where and when the run was last trained.</summary>
    private IEnumerable<(string Key, string Value)> Stretch()
    {
        if (Record?.Stretches is not [.., var last]) yield break;
        yield return ("Begun", Date(Record.Stretches[0].Began));
        yield return (
            "Machine",
            $"{last.System}, {last.Processors} processors, {last.Kernels} kernels, "
            + $"{last.Threads} {(last.Threads == 1 ? "thread" : "threads")}");
        yield return ("Version", last.Version);
    }

    /// <summary>The steps done: a log has a line for some of them only.</summary>
    private long Steps => Record?.Steps ?? Events.Select(happened => happened switch
    {
        StepDone done => done.Step,
        Validated validated => validated.Step,
        _ => 0,
    }).DefaultIfEmpty().Max();

    private IEnumerable<ReportTable> Tables(EvaluationResult main)
    {
        var metrics = Metric.Named(main.Metrics, Validator);
        yield return new ReportTable(
            main.Windows is null ? $"Held-out {main.Split} examples" : "Texts",
            ["system", .. metrics.Select(metric => metric.Title)],
            [.. main.Systems.Select(system => (IReadOnlyList<string>)[system.System, .. metrics.Select(metric => metric.Show(system))])]);
        if (main.Comparisons.Count > 0)
        {
            yield return new ReportTable(
                "Beside the other model", ["metric", "this model", "the other", "difference", "p (paired bootstrap)"],
                [.. main.Comparisons.Select(one => Row(one, metrics.First(metric => metric.Name == one.Metric)))]);
        }

        if (Evaluations.Count > 1)
        {
            string[] names = [.. Metric.Names.Where(name => Evaluations.Any(one => one.Systems[0].Values.ContainsKey(name)))];
            var shown = Metric.Named(names, Validator);
            yield return new ReportTable(
                "All evaluations of this model", ["date", "examples", "data", "options", .. shown.Select(metric => metric.Title)],
                [.. Evaluations.Select(one => (IReadOnlyList<string>)[
                    Date(one.Origin!.Date), $"{one.Examples} {one.Split}", Named(one.Origin), one.Origin.Options,
                    .. shown.Select(metric => metric.Show(one.Systems[0]))])]);
        }

        static string Named(EvaluationOrigin origin) => origin.Checkpoint is { } checkpoint ? $"{origin.Data} ({checkpoint})" : origin.Data;
    }

    private static IReadOnlyList<string> Row(Comparison one, Metric metric) =>
    [
        metric.Title, metric.Show(one.Model), metric.Show(one.Beside), metric.Show(one.Difference),
        one.PValue?.ToString("0.0000", CultureInfo.InvariantCulture) ?? "–",
    ];

    private IReadOnlyList<LineChart> Curves()
    {
        var steps = Events.OfType<StepDone>().ToList();
        var validations = Events.OfType<Validated>().ToList();
        return
        [
            new LineChart("Loss", "step", "nats a token",
                [
                    new ChartSeries("training", [.. steps.Select(step => ((double)step.Step, step.Loss))], Scatters: true),
                    new ChartSeries("validation", [.. validations.Select(validated => ((double)validated.Step, validated.Loss))]),
                ]),
            new LineChart(
                "Learning rate", "step", "rate",
                [new ChartSeries("rate", [.. steps.Select(step => ((double)step.Step, step.LearningRate))])]),
        ];
    }

    private static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Date(DateTime date) => date.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    private static string Duration(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Round(seconds));
        return time.TotalHours >= 1 ? $"{(int)time.TotalHours}:{time:mm\\:ss} h" : $"{time:m\\:ss} min";
    }
}
