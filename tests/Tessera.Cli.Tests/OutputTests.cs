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
        Assert.Equal(
            [
                "config.json", "machine.json", "metrics.jsonl", "model.safetensors", "origin.txt", "recipe.json", "run.json", "tokenizer.json",
            ],
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
    public void Standard_input_is_one_prompt_whole_or_with_lines_one_a_line()
    {
        Assert.Equal(["alpha\nbeta gamma"], Prompts("alpha\nbeta gamma\n"));
        Assert.Equal(["alpha", "beta gamma"], Prompts("alpha\r\nbeta gamma\n", "--lines"));
    }

    [Fact]
    public void A_prompt_file_is_one_prompt_with_all_its_lines()
    {
        tiny.Write("prompt.txt", "alpha\n\nbeta\n\n");
        tiny.Write("other.txt", "gamma");
        Assert.Equal(["alpha\n\nbeta\n", "gamma"], Prompts("", "--prompt-file", "prompt.txt", "--prompt-file", "other.txt"));
        Assert.Equal(["gamma"], Prompts("", "--prompt-file", "other.txt", "--lines"));
    }

    [Fact]
    public void A_text_that_begins_with_an_at_sign_is_a_prompt()
    {
        tiny.Write("words", "beta\n");
        Assert.Equal(["@words", "@nowhere"], Prompts("", "@words", "@nowhere"));
    }

    [Fact]
    public void A_prompt_that_is_too_long_is_cut_where_it_is_asked_for()
    {
        var longer = new string('€', 20);
        var (start, end) = (Text("--truncate", "start"), Text("--truncate", "end"));
        Assert.Equal(Text("--context", "40", "--truncate", "end"), end);
        Assert.Equal(start, end); // all of it is the same byte, so what is left is the same

        string Text(params string[] options)
        {
            var outcome = tiny.Tessera(["generate", "run", longer, "--max-tokens", "3", .. options]);
            Assert.Equal((0, ""), (outcome.Code, outcome.Error));
            return outcome.Output;
        }
    }

    [Fact]
    public void Sampling_without_a_seed_draws_one_and_tells_it()
    {
        string[] sample = ["generate", "run", "alpha", "--temperature", "1", "--max-tokens", "12", "--json"];
        var (first, second) = (tiny.Tessera(sample), tiny.Tessera(sample));
        var seed = Assert.Single(Parse(first)).GetProperty("seed").GetUInt64();
        Assert.Equal($"tessera: note: sampled with --seed {seed}\n", first.Error);
        Assert.NotEqual(seed, Assert.Single(Parse(second)).GetProperty("seed").GetUInt64());
        Assert.Equal(first.Output, tiny.Tessera([.. sample, "--seed", $"{seed}"]).Output);
    }

    [Fact]
    public void A_temperature_of_0_is_greedy()
    {
        var (greedy, cold) = (
            tiny.Tessera("generate", "run", "alpha", "--max-tokens", "8"),
            tiny.Tessera("generate", "run", "alpha", "--max-tokens", "8", "--temperature", "0"));
        Assert.Equal((0, greedy.Output, ""), (cold.Code, cold.Output, cold.Error));
    }

    [Theory]
    [InlineData("tessera [command] [options]")]
    [InlineData("tessera recipe [command] [options]", "recipe")]
    public void A_group_of_commands_alone_shows_what_there_is(string usage, params string[] arguments)
    {
        var outcome = tiny.Tessera(arguments);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.Contains(usage, outcome.Output, StringComparison.Ordinal);
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

    [Fact]
    public void A_shown_recipe_tells_positions_and_patterns_and_what_a_swap_drops()
    {
        var shown = tiny.Tessera("recipe", "show", "tiny.json");
        Assert.Equal((0, ""), (shown.Code, shown.Error));
        Assert.Contains("model.decoder.attention.position: { \"kind\": \"rotary\" }", shown.Lines);
        Assert.Contains("model.decoder.attention.pattern: { \"kind\": \"full\" }", shown.Lines);
        var swapped = tiny.Tessera("recipe", "show", "tiny.json", "--json", "--set", "model.decoder.attention.kind=lstm");
        Assert.Equal(
            "tessera: note: model.decoder.attention is now lstm, which does not take heads (2), "
            + "position ({\"kind\":\"rotary\"}); dropped\n",
            swapped.Error);
        var positions = Assert.Single(Parse(swapped)).GetProperty("positions");
        Assert.False(positions.TryGetProperty("model.decoder.attention.position", out _));
        Assert.Equal("none", positions.GetProperty("model.decoder.position").GetString());
    }

    [Theory]
    [InlineData("decoder", "--text", "sources.txt")]
    [InlineData("encoder-decoder", "--parallel", "sources.txt", "targets.txt")]
    [InlineData("encoder-decoder", "--pairs", "my \"pairs\".jsonl")]
    [InlineData("decoder", "--pairs", "pairs.jsonl", "--model", "decoder")]
    public void A_new_recipe_is_valid_as_it_is(string model, params string[] arguments)
    {
        Directory.CreateDirectory(tiny.In("recipes"));
        var written = tiny.Tessera(["recipe", "new", "recipes/first.json", "--force", .. arguments]);
        Assert.Equal(0, written.Code);
        var check = tiny.Tessera("recipe", "check", "recipes/first.json");
        Assert.Equal((0, "recipes/first.json: valid\n", ""), (check.Code, check.Output, check.Error));
        using var recipe = JsonDocument.Parse(File.ReadAllText(tiny.In("recipes", "first.json")));
        Assert.Equal(model, recipe.RootElement.GetProperty("model").GetProperty("kind").GetString());
        Assert.Equal("first", recipe.RootElement.GetProperty("name").GetString());
        Assert.All(recipe.RootElement.GetProperty("data").EnumerateObject().Skip(1), path =>
            Assert.StartsWith("../", path.Value.GetString(), StringComparison.Ordinal)); // from the recipe's folder
        if (arguments[0] == "--text") Assert.Equal(0, tiny.Tessera("data", "recipes/first.json", "--samples", "0").Code);
    }

    [Theory]
    [InlineData("'tiny.json' is there already; use --force to replace it", "tiny.json", "--text", "x")]
    [InlineData("what to learn from is said once: by --text, --pairs or --parallel", "n.json")]
    [InlineData("what to learn from is said once: by --text, --pairs or --parallel", "n.json", "--text", "x", "--pairs", "y")]
    [InlineData("--model is 'encoder'; allowed: decoder, encoder-decoder", "n.json", "--text", "x", "--model", "encoder")]
    [InlineData(
        "--model is encoder-decoder, which needs pairs; allowed with --text: decoder", "n.json", "--text", "x", "--model",
        "encoder-decoder")]
    public void A_recipe_that_cannot_be_written_is_not(string message, params string[] arguments)
    {
        var outcome = tiny.Tessera(["recipe", "new", .. arguments]);
        Assert.Equal((2, $"tessera: {message}"), (outcome.Code, outcome.Error.TrimEnd('\n').Split('\n')[^1]));
        Assert.False(File.Exists(tiny.In("n.json")));
    }

    [Fact]
    public void All_errors_of_a_recipe_are_told_a_line_each()
    {
        tiny.Write("bad.json", TinyRun.Recipe.Replace("\"tiny\"", "3", StringComparison.Ordinal)
            .Replace("\"heads\": 2", "\"heads\": 2.5", StringComparison.Ordinal)
            .Replace("\"everySteps\"", "\"everyStep\"", StringComparison.Ordinal));
        var outcome = tiny.Tessera("recipe", "check", "bad.json");
        Assert.Equal(2, outcome.Code);
        Assert.Equal(
            [
                "tessera: name: is 3; expected a text",
                "tessera: model.decoder.attention.heads: is 2.5; expected a whole number",
                "tessera: validation.everyStep: is not a key here; allowed: everySteps, examples, patience, finishWith",
                "tessera: checkpoints.everyStep: is not a key here; allowed: everySteps, keep",
            ],
            outcome.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Files_of_a_corpus_are_not_replaced_unseen()
    {
        tiny.Tessera("data", "tiny.json", "--out", "twice", "--samples", "0");
        File.WriteAllText(tiny.In("twice", "test.jsonl"), "mine");
        var again = tiny.Tessera("data", "tiny.json", "--out", "twice", "--samples", "0");
        Assert.Equal(
            (2, "tessera: 'twice/train.jsonl' is there already; use --force to replace it, or name another folder\n"),
            (again.Code, again.Error));
        Assert.Equal("mine", File.ReadAllText(tiny.In("twice", "test.jsonl")));
        Assert.Equal(0, tiny.Tessera("data", "tiny.json", "--out", "twice", "--samples", "0", "--force").Code);
        Assert.NotEqual("mine", File.ReadAllText(tiny.In("twice", "test.jsonl")));
    }

    [Fact]
    public void The_schema_describes_parts_and_keys()
    {
        using var schema = JsonDocument.Parse(tiny.Tessera("recipe", "schema").Output);
        var keys = schema.RootElement.GetProperty("properties");
        Assert.All(keys.EnumerateObject(), key => Assert.NotEmpty(Description(key.Value)));
        var length = keys.GetProperty("batches").GetProperty("properties").GetProperty("length");
        Assert.StartsWith("The longest target in tokens", Description(length), StringComparison.Ordinal);
        var schedule = keys.GetProperty("phases").GetProperty("items").GetProperty("properties").GetProperty("schedule");
        Assert.False(schedule.TryGetProperty("required", out _)); // a usual kind need not be said …
        Assert.All(schedule.GetProperty("anyOf").EnumerateArray().Where(kind => kind.TryGetProperty("properties", out _)), kind =>
        {
            var required = kind.TryGetProperty("required", out var names) && names.EnumerateArray().Any(name => name.GetString() == "kind");
            var name = kind.GetProperty("properties").GetProperty("kind").GetProperty("const").GetString();
            Assert.Equal(name != "cosine", required); // … and any other must
            Assert.NotEmpty(Description(kind));
        });

        static string Description(JsonElement node) => node.TryGetProperty("description", out var text) ? text.GetString()! : "";
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

    private string[] Prompts(string input, params string[] arguments)
    {
        var outcome = TesseraProcess.Run(tiny.Folder, ["generate", "run", "--json", "--max-tokens", "3", .. arguments], input);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        return [.. Parse(outcome).Select(line => line.GetProperty("prompt").GetString()!)];
    }

    private static string? Name(JsonElement line) => line.GetProperty("event").GetString();

    private static List<JsonElement> Parse(Outcome outcome) => [.. outcome.Lines.Select(line => JsonDocument.Parse(line).RootElement)];
}
