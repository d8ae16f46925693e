using System.Text.Json;

namespace Tessera.Cli.Tests;

/// <summary><c>tessera evaluate</c> and <c>generate</c> of runs, checkpoints and other models.</summary>
public sealed class EvaluateTests(TextRun text) : IClassFixture<TextRun>
{
    [Fact]
    public void A_decoder_of_texts_has_baselines_continuations_a_speed_and_no_NaN()
    {
        Assert.Equal((0, ""), (text.Training.Code, text.Training.Error));
        var evaluated = Evaluate("run");
        var systems = evaluated.GetProperty("systems").EnumerateArray().ToList();
        Assert.Equal(
            ["this model", "trigrams", "unigrams", "even guess", "untrained model"],
            systems.Select(system => system.GetProperty("system").GetString()));
        Assert.Equal(280, Value(systems[3], "perplexity"), 1e-6);
        Assert.True(Value(systems[0], "speed") > 0);
        Assert.Equal("is of models alone", systems[1].GetProperty("absent").GetProperty("speed").GetString());
        Assert.NotEmpty(evaluated.GetProperty("samples").EnumerateArray());
        Assert.DoesNotContain("NaN", File.ReadAllText(text.In("run", "evaluation.json")), StringComparison.Ordinal);
        var page = File.ReadAllText(text.In("run", "report.html"));
        string[] all = ["<dt>Steps</dt><dd>13</dd>", "trigrams", "Sample 1", "<summary>Recipe</summary>", "Machine", "Time in all"];
        foreach (var shown in all)
            Assert.Contains(shown, page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_later_evaluation_of_a_checkpoint_or_of_other_texts_does_not_stand_for_the_run()
    {
        var whole = Evaluate("run", "--no-baselines");
        Evaluate("run", "--no-baselines", "--checkpoint", "5");
        Evaluate("run", "--text", "other.txt");
        using var kept = JsonDocument.Parse(File.ReadAllText(text.In("run", "evaluation.json")));
        Assert.Equal("test", kept.RootElement.GetProperty("split").GetString());
        Assert.Equal(
            Value(whole.GetProperty("systems")[0], "perplexity"), Value(kept.RootElement.GetProperty("systems")[0], "perplexity"), 1e-9);
        Assert.Equal(JsonValueKind.Null, kept.RootElement.GetProperty("origin").GetProperty("checkpoint").ValueKind);
        Assert.True(Directory.GetFiles(text.In("run", "evaluations")).Length >= 3);
        Assert.Contains("All evaluations", File.ReadAllText(text.In("run", "report.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_checkpoint_is_named_by_its_step_its_folder_best_or_last()
    {
        var five = Perplexity(Evaluate("run", "--checkpoint", "5", "--text", "other.txt"));
        Assert.Equal(five, Perplexity(Evaluate("run/checkpoints/step-000000005", "--text", "other.txt")));
        Assert.NotEqual(five, Perplexity(Evaluate("run", "--checkpoint", "10", "--text", "other.txt")));
        Assert.Equal(
            Perplexity(Evaluate("run", "--text", "other.txt")), Perplexity(Evaluate("run", "--checkpoint", "best", "--text", "other.txt")));
        var byStep = text.Tessera("generate", "run", "alpha beta", "--max-tokens", "6", "--checkpoint", "5");
        Assert.Equal((0, ""), (byStep.Code, byStep.Error));
        Assert.Equal(
            byStep.Output, text.Tessera("generate", "run/checkpoints/step-000000005", "alpha beta", "--max-tokens", "6").Output);
        Assert.Equal(0, text.Tessera("generate", "run", "alpha", "--max-tokens", "3", "--checkpoint", "last").Code);
        Complains("'run' has no checkpoint '7'; allowed: 5, 10, 13, best or last", "generate", "run", "alpha", "--checkpoint", "7");
    }

    [Fact]
    public void The_perplexity_on_texts_is_the_same_for_a_run_and_its_conversions()
    {
        foreach (var target in (string[])["as-folder", "as-file.gguf"])
        {
            var converted = text.Tessera("convert", "run", target, "--force");
            Assert.Equal((0, ""), (converted.Code, converted.Error));
        }

        var (own, folder, file) = (OfTexts("run"), OfTexts("as-folder"), OfTexts("as-file.gguf"));
        Assert.Equal(Perplexity(own), Perplexity(folder), 1e-4 * Perplexity(own));
        Assert.Equal(Perplexity(own), Perplexity(file), 1e-4 * Perplexity(own));
        var windows = own.GetProperty("windows");
        Assert.Equal((24, 7), (windows.GetProperty("context").GetInt32(), windows.GetProperty("stride").GetInt32()));
        var system = own.GetProperty("systems")[0];
        var bytes = new FileInfo(text.In("text.txt")).Length + new FileInfo(text.In("other.txt")).Length;
        Assert.Equal((2, bytes), (own.GetProperty("examples").GetInt32(), system.GetProperty("bytes").GetInt64()));
        Assert.Equal(
            Math.Log2(Perplexity(own)) * system.GetProperty("tokens").GetInt64() / bytes, Value(system, "bits-per-byte"), 1e-9);

        JsonElement OfTexts(string model) => Evaluate(model, "--text", "text.txt", "other.txt", "--context", "24", "--stride", "7");
    }

    [Fact]
    public void A_model_that_is_no_run_is_evaluated_on_the_data_of_a_recipe_or_on_a_corpus()
    {
        Assert.Equal(0, text.Tessera("convert", "run", "of-corpus", "--force").Code);
        var own = Evaluate("run", "--metric", "perplexity", "--no-baselines");
        var byRecipe = Evaluate("of-corpus", "--recipe", "text.json", "--metric", "perplexity", "--no-baselines");
        Assert.Equal(Perplexity(own), Perplexity(byRecipe), 1e-4 * Perplexity(own));
        var byCorpus = Evaluate("of-corpus", "--corpus", """{"kind":"text","path":"text.txt","testFraction":0.1}""");
        Assert.Equal("test", byCorpus.GetProperty("split").GetString());
        Assert.Equal(
            ["this model", "trigrams", "unigrams", "even guess"],
            byCorpus.GetProperty("systems").EnumerateArray().Select(system => system.GetProperty("system").GetString()));
        Assert.False(File.Exists(text.In("of-corpus", "evaluation.json")));
    }

    [Fact]
    public void A_model_beside_another_has_both_figures_their_difference_and_p()
    {
        var evaluated = Evaluate("run", "--text", "other.txt", "text.txt", "--beside", "run/checkpoints/step-000000005");
        var (own, other) = (evaluated.GetProperty("systems")[0], evaluated.GetProperty("systems")[1]);
        Assert.Equal("run/checkpoints/step-000000005", other.GetProperty("system").GetString());
        var comparison = evaluated.GetProperty("comparisons")[0];
        Assert.Equal("perplexity", comparison.GetProperty("metric").GetString());
        Assert.Equal(Value(own, "perplexity") - Value(other, "perplexity"), comparison.GetProperty("difference").GetDouble(), 1e-9);
        Assert.InRange(comparison.GetProperty("pValue").GetDouble(), 1e-9, 1);
        var shown = text.Tessera("evaluate", "run", "--beside", "run/checkpoints/step-000000005", "--no-baselines");
        Assert.Equal((0, ""), (shown.Code, shown.Error));
        Assert.Contains("paired bootstrap", shown.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapters_are_compared_with_the_model_that_they_were_trained_beside()
    {
        text.Write("lora.json", """
            { "name": "lora", "start": "run", "lora": { "rank": 2, "targets": ["*.q_proj"] }, "batches": { "tokens": 256, "length": 32 },
              "data": { "kind": "text", "path": "text.txt", "testFraction": 0.1 }, "phases": [{ "steps": 3, "learningRate": 0.05 }] }
            """);
        Assert.Equal(0, text.Tessera("train", "lora.json", "--out", "adapted").Code);
        var evaluated = Evaluate("adapted", "--text", "other.txt", "--beside", "base");
        Assert.Equal("base", evaluated.GetProperty("systems")[1].GetProperty("system").GetString());
        Assert.Equal(
            Perplexity(Evaluate("run", "--text", "other.txt")), Value(evaluated.GetProperty("systems")[1], "perplexity"), 1e-9);
        Assert.NotEqual(0, evaluated.GetProperty("comparisons")[0].GetProperty("difference").GetDouble());
        var last = Evaluate("adapted", "--checkpoint", "last", "--text", "other.txt");
        Assert.Equal(Perplexity(evaluated), Perplexity(last), 1e-9);
    }

    [Theory]
    [InlineData("--text and --metric exclude each other", "--text", "text.txt", "--metric", "perplexity")]
    [InlineData("--text and --beam exclude each other", "--text", "text.txt", "--beam", "3")]
    [InlineData("--context needs --text", "--context", "8")]
    [InlineData("--recipe and --corpus exclude each other", "--recipe", "text.json", "--corpus", "{}")]
    [InlineData("--text: there is no file or folder 'nothing.txt'", "--text", "nothing.txt")]
    [InlineData("context is 1; allowed: at least 2, at most 4096", "--text", "text.txt", "--context", "1")]
    [InlineData("stride is 8; allowed: 1 to 7, below context", "--text", "text.txt", "--context", "8", "--stride", "8")]
    [InlineData("--beside is base, but 'run' started from no model; allowed: the path of a model", "--beside", "base")]
    public void Options_that_do_not_fit_are_told_in_one_line(string message, params string[] arguments) =>
        Complains(message, ["evaluate", "run", .. arguments]);

    [Fact]
    public void A_model_that_is_no_run_needs_data()
    {
        Assert.Equal(0, text.Tessera("convert", "run", "without-data", "--force").Code);
        Complains(
            "'without-data' is no run, so it has no held-out examples; name texts with --text, or data with --recipe or --corpus",
            "evaluate", "without-data");
    }

    private void Complains(string message, params string[] arguments)
    {
        var outcome = text.Tessera(arguments);
        Assert.Equal((2, $"tessera: {message}\n"), (outcome.Code, outcome.Error));
    }

    private JsonElement Evaluate(params string[] arguments)
    {
        var outcome = text.Tessera(["evaluate", .. arguments, "--json"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        var evaluated = JsonDocument.Parse(Assert.Single(outcome.Lines)).RootElement;
        Assert.Equal("evaluated", evaluated.GetProperty("event").GetString());
        return evaluated;
    }

    private static double Perplexity(JsonElement evaluated) => Value(evaluated.GetProperty("systems")[0], "perplexity");

    private static double Value(JsonElement system, string metric) => system.GetProperty("values").GetProperty(metric).GetDouble();
}
