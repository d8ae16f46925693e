using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Nn;
using Tessera.Training.Phases;

namespace Tessera.Training.Tests.Phases;

/// <summary>Phases with data, objectives and lengths of their own.</summary>
public sealed class PhaseDataTests : IDisposable
{
    private const string Other = """{"kind":"jsonl","train":"other.jsonl","validation":"validation.jsonl","testFraction":0}""";

    private readonly TrainingFolder _folder = new();

    public PhaseDataTests() => _folder.WritePairs("other.jsonl", 300, 40);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false, 3)] // in the curriculum
    [InlineData(false, 9)] // in the second phase
    [InlineData(false, 16)] // back in the first phase's data
    [InlineData(true, 4)]
    [InlineData(true, 11)]
    [InlineData(true, 18)]
    public void A_run_of_phases_with_other_data_and_lengths_resumes_to_the_same_bits(bool text, int after)
    {
        string[] settings = ["checkpoints.everySteps=2", "validation.everySteps=4", "phases[0].accumulate=2", "tokenizer.vocabulary=380",
            "batches.tokens=64"];
        var recipe = text ? TrainingFolder.TextRecipe(settings) : TrainingFolder.Recipe(settings);
        var (first, objective) = (recipe.Phases[0], text ? "fill-in-the-middle" : "span-corruption");
        recipe = recipe with
        {
            Phases =
            [
                first with { Steps = 8, Length = new LengthSchedule(text ? 16 : 8, 30),
                    SourceLength = new LengthSchedule(8, 30, LengthCurve.SquareRoot) },
                Phase($$"""phases[0].data={{Other}}""", $$"""phases[0].objective={"kind":"{{objective}}"}""") with { Steps = 6 },
                first with { Steps = 6, Name = "third" },
            ],
        };
        var whole = _folder.Train(recipe, "whole");
        Assert.Equal(20, whole.OfType<StepDone>().Count());
        _folder.Crash(recipe, after);
        _folder.Train(recipe, resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
        Assert.Equal(Validations("whole"), Validations("run"));

        Phase Phase(params string[] more) =>
            (text ? TrainingFolder.TextRecipe([.. settings, .. more]) : TrainingFolder.Recipe([.. settings, .. more])).Phases[0];
        List<(long, double)> Validations(string run) =>
            [.. MetricsLog.Read(_folder.In($"{run}/metrics.jsonl")).OfType<Validated>().Select(validated =>
                (validated.Step, validated.Loss))];
    }

    [Fact]
    public void A_curriculum_lets_the_lengths_of_rows_grow_with_the_steps_and_begins_a_pass_where_they_change()
    {
        var recipe = TrainingFolder.Recipe("phases[0].steps=9", "batches.tokens=32", """phases[0].length={"from":6,"to":8}""");
        var session = TrainingSession.Open(recipe, _folder.Path, new RunFolder(_folder.In("run")), resume: false, default);
        var step = new OptimizerStep(session);
        var seen = new List<(int Length, int Epoch)>();
        for (var i = 0; i < 9; i++)
        {
            step.Run(1e-3);
            session.State.Step++;
            session.State.PhaseStep++;
            var position = Assert.Single(session.State.Datasets);
            seen.Add((position.Length, position.Epoch));
        }

        Assert.Equal([6, 6, 6, 7, 7, 7, 8, 8, 8], seen.Select(pass => pass.Length));
        // An epoch has more than three batches.
        Assert.Equal([0, 1, 2], seen.Where((_, index) => index % 3 == 0).Select(pass => pass.Epoch));
        Assert.InRange(session.Data.Train.Count, 10, 59); // pairs that are longer wait
    }

    [Fact]
    public void Phases_of_the_same_data_go_on_in_it()
    {
        var recipe = TrainingFolder.Recipe("phases[0].steps=10");
        _folder.Train(recipe, "one");
        var phase = recipe.Phases[0];
        _folder.Train(recipe with { Phases = [phase with { Steps = 4 }, phase with { Steps = 6, Data = recipe.Data, Length = 32 }] },
            "two");
        Assert.Equal(_folder.Weights("one"), _folder.Weights("two"));
        _folder.Train(recipe with { Phases = [phase with { Steps = 4 }, phase with { Steps = 6, Length = 31 }] }, "other");
        Assert.NotEqual(_folder.Weights("one"), _folder.Weights("other"));
        Assert.Equal((32, 32), Lengths("other"));
        _folder.Train(recipe with { Phases = [phase with { Steps = 2, Length = new LengthSchedule(48, 30), SourceLength = 12 }] }, "short");
        Assert.Equal((48, 12), Lengths("short"));

        (int, int) Lengths(string run) =>
            ModelFolder.Load(_folder.In(run)).Config is var config ? (config.Length, config.SourceLength) : default;
    }

    [Fact]
    public void The_tokenizer_is_trained_on_the_texts_of_all_phases()
    {
        File.WriteAllText(_folder.In("other.jsonl"),
            string.Concat(Enumerable.Repeat("{\"source\":\"zzzzzz\",\"target\":\"zzzzzz\"}\n", 100)));
        var recipe = TrainingFolder.Recipe("phases[0].steps=1");
        _folder.Train(recipe, "one");
        var second = TrainingFolder.Recipe("phases[0].steps=1", $"phases[0].data={Other}").Phases[0];
        _folder.Train(recipe with { Phases = [recipe.Phases[0], second] }, "two");
        Assert.Equal((6, 1), (Tokens("one"), Tokens("two")));

        int Tokens(string run) => ModelFolder.Load(_folder.In(run)).Tokenizer.EncodeOrdinary("zzzzzz").Length;
    }

    [Fact]
    public void Validation_losses_are_compared_within_the_same_data_alone_and_the_best_of_the_last_are_kept()
    {
        // What the second phase learns from is validated on other texts: its losses are worse than those of the first phase.
        File.WriteAllLines(_folder.In("held.jsonl"),
            Enumerable.Range(0, 10).Select(i => $$"""{"source":"{{i}}","target":"QXJ#~{{i * 7919 % 1000}}"}"""));
        var recipe = TrainingFolder.Recipe("phases[0].steps=200", "validation.everySteps=10", "validation.patience=50",
            "checkpoints.keep=1", "checkpoints.everySteps=1000");
        var second = TrainingFolder.Recipe($"phases[0].data={Other.Replace("validation.jsonl", "held.jsonl", StringComparison.Ordinal)}",
            "phases[0].steps=40").Phases[0];
        recipe = recipe with { Phases = [recipe.Phases[0], second with { LearningRate = 0.02 }] };
        var validated = _folder.Train(recipe).OfType<Validated>().ToList();
        var ofSecond = validated.Where(happened => happened.Step > 200).ToList();
        Assert.True(ofSecond[0].IsBest);
        Assert.True(ofSecond.Min(happened => happened.Loss) > validated.Where(happened => happened.Step <= 200).Min(happened =>
            happened.Loss));
        Assert.False(ofSecond[^1].IsBest, "the last weights are not the best ones: the test is to show something");
        var loaded = ModelFolder.Load(_folder.In("run"));
        Assert.Equal(ofSecond.Min(happened => happened.Loss), TrainingFolder.Loss(loaded, second.Data!.Load(_folder.Path), recipe.Batches));
    }

    [Fact]
    public void A_checkpoint_of_version_0_1_is_gone_on_from()
    {
        var recipe = TrainingFolder.Recipe("phases[0].steps=40", "checkpoints.everySteps=10");
        _folder.Train(recipe, "whole");
        _folder.Crash(recipe, 25);
        var checkpoint = Directory.GetDirectories(_folder.In("run/checkpoints")).Order().Last();
        Rewrite(checkpoint, state =>
        {
            var dataset = state["datasets"]!.AsArray().Single()!;
            (state["epoch"], state["batchesUsed"], state["data"]) = ((int)dataset["epoch"]!, (int)dataset["batchesUsed"]!,
                (string)dataset["fingerprint"]!);
            state.Remove("datasets");
            state.Remove("comparedFrom");
        });
        var resumed = _folder.Train(recipe, resume: true);
        Assert.Equal(20, resumed.OfType<Prepared>().Single().Step);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
    }

    [Theory]
    [InlineData("data", """{"kind":"jsonl","train":""}""", "phases[0].data.train is missing or empty")]
    [InlineData("data", """{"kind":"jsonl","train":"train.jsonl","validationFraction":0.9}""",
        "phases[0].data.validationFraction must be between 0 and 0.5, found 0.9")]
    [InlineData("length", """{"from":3,"to":30}""", "phases[0].length.from: is 3; allowed: lengths that some example fits")]
    [InlineData("length", """{"from":30,"to":3}""", "phases[0].length.to: is 3; allowed: lengths that some example fits")]
    [InlineData("losses", """{"mtp":0.1}""", "phases[0].losses.mtp: is no loss of this model; allowed: balance, sequence-balance")]
    public void What_a_phase_says_wrongly_is_refused_before_anything_is_written(string key, string value, string message)
    {
        var events = new List<TrainingEvent>();
        Assert.Equal(message, Assert.Throws<RecipeException>(() =>
            _folder.Train(TrainingFolder.Recipe($"phases[0].{key}={value}"), also: events.Add)).Message);
        Assert.Empty(events);
        Assert.False(Directory.Exists(_folder.In("run")));
    }

    [Fact]
    public void Data_of_a_phase_that_is_not_as_it_should_be_is_told_with_its_place()
    {
        var message = Assert.Throws<InvalidDataException>(() =>
            _folder.Train(TrainingFolder.Recipe($"phases[0].data={Other}", "phases[0].length=2"))).Message;
        Assert.Equal("phases[0].data: none of 40 pairs has a target of fewer than 2 tokens (batches.length, or the phase's length)",
            message);
        message = Assert.Throws<RecipeException>(() => _folder.Train(TrainingFolder.TextRecipe(
            """model.decoder.position={"kind":"learned","positions":64}""", """phases[0].length={"from":10,"to":65}"""))).Message;
        Assert.Equal("phases[0].length: is 65; allowed: at most 64, the positions that the model's encoding has", message);
    }

    /// <summary>Changes the state in a checkpoint, and its hash.</summary>
    private static void Rewrite(string checkpoint, Action<JsonObject> change)
    {
        var (path, hashesPath) = (Path.Combine(checkpoint, "state.json"), Path.Combine(checkpoint, "hashes.json"));
        var state = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(state);
        File.WriteAllText(path, state.ToJsonString());
        var hashes = JsonNode.Parse(File.ReadAllText(hashesPath))!;
        var bytes = File.ReadAllBytes(path);
        hashes["state.json"] = JsonSerializer.SerializeToNode(new { bytes = bytes.Length,
            sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes)) });
        File.WriteAllText(hashesPath, hashes.ToJsonString());
    }
}
