using System.Globalization;
using Tessera.Evaluation.Tasks;
using Tessera.Models;
using Tessera.Training;

namespace Tessera.Evaluation.Reports;

/// <summary>The report of a run: how its loss fell, what it reached beside the baselines, how its experts were used, samples.</summary>
public static class RunReport
{
    /// <summary>Gathers the report.</summary>
    /// <param name="recipe">The run's recipe.</param>
    /// <param name="model">Its model.</param>
    /// <param name="events">What its <c>metrics.jsonl</c> holds.</param>
    /// <param name="result">Its evaluation.</param>
    /// <param name="metrics">The columns of the table.</param>
    public static ReportData Of(
        Recipe recipe, ModelFolder model, IReadOnlyList<TrainingEvent> events, EvaluationResult result, IReadOnlyList<Metric> metrics)
    {
        var steps = events.OfType<StepDone>().ToList();
        var validations = events.OfType<Validated>().ToList();
        return new ReportData($"Tessera: {recipe.Name}")
        {
            Facts =
            [
                ("Parameters", Count(model.Model.ParameterCount())),
                ("Active for a token", Count(model.Model.ActiveParameterCount())),
                ("Vocabulary", Count(model.Config.Vocabulary)),
                ("Steps", Count(steps.LastOrDefault()?.Step ?? 0)),
                ("Tokens learned from", Count(steps.LastOrDefault()?.Tokens ?? 0)),
                ("Evaluated on", $"{result.Examples} {result.Split} examples"),
            ],
            Tables = [Table(result, metrics)],
            Curves =
            [
                new LineChart("Loss", "step", "nats a token",
                    [
                        new ChartSeries("training", [.. steps.Select(step => ((double)step.Step, step.Loss))], Scatters: true),
                        new ChartSeries("validation", [.. validations.Select(validated => ((double)validated.Step, validated.Loss))]),
                    ]),
                new LineChart(
                    "Learning rate", "step", "rate",
                    [new ChartSeries("rate", [.. steps.Select(step => ((double)step.Step, step.LearningRate))])]),
            ],
            Loads = result.ExpertUse.Count == 0
                    ? []
                    :
                    [
                        new ExpertLoad(
                            "Use of the routed experts",
                            [.. result.ExpertUse.Values.Select(layer => layer.Select(count => (double)count).ToList())]),
                    ],
            Samples = [.. result.Samples.Select(sample => new ReportSample(sample.Source, sample.Reference, sample.Output, sample.Valid))],
        };
    }

    private static ReportTable Table(EvaluationResult result, IReadOnlyList<Metric> metrics) => new(
            $"Held-out {result.Split} examples",
            ["system", .. metrics.Select(metric => metric.Title)],
            [
                .. result.Systems.Select(system =>
                    (IReadOnlyList<string>)[system.System, .. metrics.Select(metric => metric.Show(system.Values[metric.Name]))]
                ),
            ]);

    private static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
