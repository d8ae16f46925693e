using System.Text.Json;

namespace Tessera.Cli.Tests;

[Collection(TinyRunCollection.Name)]
public sealed class OutputTests(TinyRun tiny)
{
    [Fact]
    public void Training_reports_every_event_as_a_line_of_JSON()
    {
        Assert.Equal((0, ""), (tiny.Training.Code, tiny.Training.Error));
        var events = Parse(tiny.Training);
        Assert.Equal("prepared", events[0].GetProperty("event").GetString());
        Assert.Equal(
            [1, 2, 3, 4, 5, 6], events.Where(line => Name(line) == "step-done").Select(line => line.GetProperty("step").GetInt32()));
        Assert.Equal([3, 6], events.Where(line => Name(line) == "validated").Select(line => line.GetProperty("step").GetInt32()));
        Assert.All(events.Where(line => Name(line) == "saved"), line =>
            Assert.StartsWith(tiny.In("run", "checkpoints"), line.GetProperty("path").GetString(), StringComparison.Ordinal)
        );
        Assert.Equal(["config.json", "machine.json", "metrics.jsonl", "model.safetensors", "origin.txt", "recipe.json", "run.json", "tokenizer.json"],
            Directory
                .GetFiles(tiny.In("run"))
                .Select(Path.GetFileName)
                .Except(["evaluation.json", "report.html"])
                .Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("generate", "run", "alpha beta", "gamma", "--max-tokens", "5")]
    [InlineData("generate", "run", "alpha beta", "--beam", "3", "--check")]
    [InlineData("data", "tiny.json", "--samples", "2")]
    [InlineData("recipe", "show", "tiny.json")]
    [InlineData("info")]
    public void With_json_every_line_is_JSON(params string[] arguments)
    {
        var outcome = tiny.Tessera([.. arguments, "--json"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.NotEmpty(Parse(outcome));
    }

    [Fact]
    public void What_the_machine_has_is_told_in_types()
    {
        var facts = Assert.Single(
            Parse(TesseraProcess.Run(tiny.Folder, ["info", "--json"], "", ("TESSERA_KERNELS", "vector128"), ("TESSERA_THREADS", "3"))));
        Assert.Equal(Environment.ProcessorCount, facts.GetProperty("processors").GetInt32());
        Assert.Equal(3, facts.GetProperty("threads").GetInt32());
        Assert.InRange(facts.GetProperty("memoryBytes").GetInt64(), 1 << 20, long.MaxValue);
        Assert.Equal("vector128", facts.GetProperty("level").GetString());
        Assert.Contains("vector128", facts.GetProperty("features").EnumerateArray().Select(feature => feature.GetString()));
        var whyNot = facts.GetProperty("whyNot").EnumerateObject().ToDictionary(level => level.Name, level => level.Value.GetString()!);
        Assert.Equal(["vector256", "vector512", "avx512-vnni", "avx512-bf16", "amx"], whyNot.Keys);
        Assert.All(whyNot.Values, Assert.NotEmpty);
        if (facts.GetProperty("highest").GetString() != "vector128")
            Assert.Equal("TESSERA_KERNELS asks for vector128", whyNot["vector256"]);
    }

    [Fact]
    public void An_evaluation_prints_its_figures_and_writes_its_report()
    {
        var (asJson, asText) = (
            tiny.Tessera("evaluate", "run", "--json"), tiny.Tessera("evaluate", "run", "--metric", "exact-match", "--no-baselines"));
        Assert.Equal((0, ""), (asJson.Code, asJson.Error));
        var evaluated = Assert.Single(Parse(asJson));
        Assert.Equal(
            ["this model", "nearest training pair", "untrained model"],
            evaluated.GetProperty("systems").EnumerateArray().Select(system => system.GetProperty("system").GetString()));
        Assert.Equal((0, ""), (asText.Code, asText.Error));
        Assert.DoesNotContain('\u001b', asText.Output);
        Assert.Contains("exact match %", asText.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("untrained", asText.Output, StringComparison.Ordinal);
        Assert.StartsWith("<!DOCTYPE html>", File.ReadAllText(tiny.In("run", "report.html")), StringComparison.OrdinalIgnoreCase);
        JsonDocument.Parse(File.ReadAllText(tiny.In("run", "evaluation.json"))).Dispose();
    }

    [Fact]
    public void Prompts_are_read_from_standard_input_a_line_each()
    {
        var outcome = TesseraProcess.Run(tiny.Folder, ["generate", "run", "--json", "--max-tokens", "3"], "alpha\nbeta gamma\n");
        Assert.Equal(["alpha", "beta gamma"], Parse(outcome).Select(line => line.GetProperty("prompt").GetString()));
    }

    [Fact]
    public void The_same_seed_samples_the_same_text()
    {
        string[] sample = ["generate", "run", "alpha", "--temperature", "1", "--max-tokens", "12", "--seed"];
        var (first, again, other) = (tiny.Tessera([.. sample, "7"]), tiny.Tessera([.. sample, "7"]), tiny.Tessera([.. sample, "8"]));
        Assert.Equal((0, first.Output), (again.Code, again.Output));
        Assert.NotEqual(first.Output, other.Output);
    }

    [Fact]
    public void A_corpus_is_shown_and_written_to_files_that_can_be_trained_on()
    {
        var outcome = tiny.Tessera("data", "tiny.json", "--out", "pairs", "--samples", "1");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.DoesNotContain('\u001b', outcome.Output);
        Assert.Equal(
            ["test.jsonl", "train.jsonl", "validation.jsonl"],
            Directory.GetFiles(tiny.In("pairs")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(60, Directory.GetFiles(tiny.In("pairs")).Sum(file => File.ReadLines(file).Count()));
        var read = tiny.Tessera(
            "data",
            "tiny.json",
            "--json",
            "--samples",
            "0",
            "--set",
            """data={"kind":"jsonl","train":"pairs/train.jsonl","validation":"pairs/validation.jsonl","test":"pairs/test.jsonl"}"""
        );
        var written = tiny.Tessera("data", "tiny.json", "--json", "--samples", "0");
        Assert.Equal(Counts(written), Counts(read));

        static (int, int, int) Counts(Outcome shown)
        {
            var corpus = Assert.Single(Parse(shown));
            return (
                corpus.GetProperty("train").GetInt32(), corpus.GetProperty("validation").GetInt32(), corpus.GetProperty("test").GetInt32());
        }
    }

    [Fact]
    public void A_recipe_is_shown_checked_and_described_by_a_schema()
    {
        Assert.Equal(
            (0, "tiny.json: valid\n"),
            (tiny.Tessera("recipe", "check", "tiny.json").Code, tiny.Tessera("recipe", "check", "tiny.json").Output));
        var shown = tiny.Tessera("recipe", "show", "tiny.json");
        Assert.Contains("operations a token", shown.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', shown.Output);
        using var schema = JsonDocument.Parse(tiny.Tessera("recipe", "schema").Output);
        Assert.True(schema.RootElement.GetProperty("properties").TryGetProperty("model", out _));
    }

    [Theory]
    [InlineData("quickstart")]
    [InlineData("train")]
    [InlineData("evaluate")]
    [InlineData("generate")]
    [InlineData("data")]
    [InlineData("recipe")]
    [InlineData("tokenize")]
    [InlineData("info")]
    public void The_help_of_a_command_has_examples(string command)
    {
        var outcome = tiny.Tessera(command, "--help");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.Matches($@"Examples:\s+(\w+=\w+ )?tessera {command}", outcome.Output);
    }

    private static string? Name(JsonElement line) => line.GetProperty("event").GetString();

    private static List<JsonElement> Parse(Outcome outcome) => [.. outcome.Lines.Select(line => JsonDocument.Parse(line).RootElement)];
}
