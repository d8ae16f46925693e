using Tessera.Evaluation.Reports;
using Tessera.Evaluation.Tasks;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Training;

namespace Tessera.Evaluation.Tests.Reports;

/// <summary>What is kept of a run's evaluations, and how its report shows them.</summary>
public sealed class RunReportTests : IDisposable
{
    private static readonly Recipe s_recipe = Recipe.Read(RecipeJson.Parse("""
        { "name": "small", "seed": 77,
          "model": { "kind": "decoder", "width": 16, "decoder": { "layers": 1,
            "attention": { "kind": "multi-head", "heads": 2, "position": { "kind": "rotary" } },
            "feedForward": { "kind": "swiglu", "hidden": 16 } } },
          "data": { "kind": "text", "path": "." }, "phases": [{ "steps": 1 }] }
        """, "test"));

    private readonly string _folder = Directory.CreateTempSubdirectory("tessera-report").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_later_evaluation_of_fewer_examples_or_other_options_replaces_none()
    {
        var store = new EvaluationStore(new RunFolder(_folder));
        store.Save(Result(50, minute: 1, value: 12.5));
        store.Save(Result(5, minute: 2, value: 3.5));
        store.Save(Result(50, minute: 3, value: 11.5, options: "beam search of width 5"));
        store.Save(Result(90, minute: 4, value: 99.5, checkpoint: "step-000000400"));
        Assert.Equal([90, 50, 5, 50], store.All().Select(one => one.Examples));
        var main = EvaluationStore.Main(store.All());
        Assert.Equal((50, "beam search of width 5"), (main.Examples, main.Origin!.Options));
        Assert.Contains("\"perplexity\": 11.5", File.ReadAllText(Path.Combine(_folder, "evaluation.json")), StringComparison.Ordinal);

        var all = store.Save(Result(50, minute: 5, value: 12.25)); // the same again
        Assert.Equal([50, 90, 50, 5], all.Select(one => one.Examples));
        Assert.Equal(12.25, EvaluationStore.Main(all).Systems[0].Values["perplexity"]);

        all = store.Save(Result(5, minute: 6, value: 2.25, weights: "of a model that was trained on"));
        Assert.Equal(2.25, EvaluationStore.Main(all).Systems[0].Values["perplexity"]);
        File.WriteAllText(Path.Combine(_folder, "evaluations", "test-1-cut.json"), "{ \"split\": ");
        Assert.Equal(5, store.All().Count);
    }

    [Fact]
    public void An_evaluation_is_read_back_as_it_was_kept()
    {
        var result = Result(3, minute: 1, value: 12.5) with
        {
            Comparisons = [new Comparison("perplexity", 12.5, 14, 0.25)], Windows = new TextWindows(8, 4, 9),
        };
        var store = new EvaluationStore(new RunFolder(_folder));
        var read = Assert.Single(store.Save(result));
        Assert.Equal(EvaluationStore.Line(result), EvaluationStore.Line(read));
        Assert.Equal(result.Origin, read.Origin);
        Assert.Equal(result.Comparisons, read.Comparisons);
        Assert.Equal(["perplexity", "speed"], read.Metrics);
    }

    [Fact]
    public void The_report_shows_true_counts_baselines_samples_recipe_machine_seed_and_dates()
    {
        var record = new RunRecord
        {
            Name = "small", Seed = 77, Status = RunStatus.Finished, Steps = 418, Tokens = 12345, TrainingSeconds = 125, ModelStep = 400,
            Examples = 1234,
            Stretches =
            [
                new RunStretch
                {
                    ToStep = 418, Began = new DateTime(2026, 11, 30, 8, 5, 0, DateTimeKind.Utc), Seconds = 3725, Version = "0.2.0+abc",
                    System = "An OS, X64", Processors = 6, Threads = 2, Kernels = "vector256",
                },
            ],
        };
        var page = Page(record, [new StepDone(410, "train", 2.5, 1e-3, 1, 12000, 100, 1, 0)], [Result(50, 1, 12.5), Result(5, 0, 13.25)]);
        foreach (var shown in (string[])[
            "Tessera: small", "<dt>Steps</dt><dd>418</dd>", "<dt>Weights of step</dt><dd>400</dd>", "12,345", "1,234", "2:05 min",
            "1:02:05 h",
            "<dt>Seed</dt><dd>77</dd>", "2026-11-30 08:05 UTC", "An OS, X64, 6 processors, vector256 kernels, 2 threads", "0.2.0+abc",
            "50 test examples", "5 test", "13.25", "trigrams", "how it began", "how it went on", "All evaluations",
            "<summary>Recipe</summary>",
            "&quot;seed&quot;: 77", "greedy choice", "corpus.txt", "<span class=\"good\">= reference</span>"])
            Assert.Contains(shown, page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(410, 418, "418")] // the last step has no line, the validation after it has
    [InlineData(0, 3, "3")]
    public void Without_a_record_the_steps_are_the_last_that_anything_was_written_of(int done, int validated, string steps)
    {
        List<TrainingEvent> events = [new Validated(validated, 2.25, true, new Dictionary<string, double>())];
        if (done > 0) events.Insert(0, new StepDone(done, "train", 2.5, 1e-3, 1, 12000, 100, 1, 0));
        Assert.Contains($"<dt>Steps</dt><dd>{steps}</dd>", Page(null, events, [Result(5, 0, 13.25)]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_beside_another_has_a_table_of_differences()
    {
        var result = Result(50, 1, 12.5) with { Comparisons = [new Comparison("perplexity", 12.5, 14, 0.0321)] };
        var page = Page(null, [], [result]);
        foreach (var shown in (string[])["Beside the other model", "-1.50", "0.0321"])
            Assert.Contains(shown, page, StringComparison.Ordinal);
    }

    private static string Page(RunRecord? record, IReadOnlyList<TrainingEvent> events, IReadOnlyList<EvaluationResult> evaluations)
    {
        var config = new ModelConfig { Model = s_recipe.Model, Vocabulary = 300, Length = 32, SourceLength = 0 };
        var model = new ModelFolder(config, null, s_recipe.Model.Build(300, seed: 1));
        return HtmlReport.Render(new RunReport(s_recipe, model, record, events, evaluations, new SemicolonValidator()).Data());
    }

    private static EvaluationResult Result(
        int examples, int minute, double value, string options = "greedy choice", string? checkpoint = null,
        string? weights = "hash") => new(
        "test", examples,
        [
            new SystemScore("this model", new Dictionary<string, double> { ["perplexity"] = value })
            {
                Absent = new Dictionary<string, string> { ["speed"] = "no text was generated" }, Tokens = 100,
            },
            new SystemScore("trigrams", new Dictionary<string, double> { ["perplexity"] = 20 }),
        ],
        [new Sample("how it began", "how it went on", "how it went on", null)], new Dictionary<string, IReadOnlyList<long>>())
    {
        Origin = new EvaluationOrigin(
            new DateTime(2026, 12, 1, 9, minute, 0, DateTimeKind.Utc), "runs/small", checkpoint, weights, "corpus.txt", options, 1.5,
            EvaluationOrigin.ThisMachine),
    };
}
