using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Training.Tests.Precision;

public sealed class MixedPrecisionTests : IDisposable
{
    /// <summary>So large that under a loss scale of 1e38 they overflow in F32, too.</summary>
    private const string LargeGradients = "phases[0].losses.balance=10000";

    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_loss_scale_of_a_power_of_two_changes_nothing_but_what_F16_cannot_hold()
    {
        // In F32 arithmetic a power of two moves exponents alone; rounding to F16 is the only difference left.
        var (whole, scaled) = (Train("f32"), Train("f16", "phases[0].lossScale.initial=1024"));
        Assert.All(scaled, done => Assert.Equal(1024, done.LossScale));
        Assert.All(whole, done => Assert.Equal(1, done.LossScale));
        for (var step = 0; step < whole.Count; step++)
        {
            Assert.Equal(whole[step].Loss, scaled[step].Loss, 0.02 * whole[step].Loss);
            Assert.Equal(whole[step].GradientNorm, scaled[step].GradientNorm, 0.1 * whole[step].GradientNorm);
        }
    }

    [Theory]
    [InlineData("bf16")]
    [InlineData("f16")]
    public void A_phase_in_fewer_bits_learns_as_one_in_F32(string precision)
    {
        var (whole, rounded) = (Train("f32", "phases[0].steps=60"), Train(precision, "phases[0].steps=60"));
        Assert.Equal(60, rounded.Count);
        Assert.All(rounded, done => Assert.True(double.IsFinite(done.GradientNorm)));
        var (expected, found) = (whole.TakeLast(10).Average(done => done.Loss), rounded.TakeLast(10).Average(done => done.Loss));
        Assert.InRange(found, 0.9 * expected, 1.1 * expected);
        Assert.True(found < 0.7 * rounded[0].Loss);
    }

    [Fact]
    public void Steps_whose_gradients_overflow_are_left_out_and_counted_until_the_scale_fits()
    {
        var done = Train(
            "f16", "phases[0].steps=30", LargeGradients, "phases[0].lossScale.initial=1e38", "phases[0].lossScale.backoff=0.001");
        var skipped = done.TakeWhile(step => !double.IsFinite(step.GradientNorm)).Count();
        Assert.InRange(skipped, 1, 14);
        Assert.Equal(skipped, done[^1].Skipped);
        Assert.Equal(1e38 * Math.Pow(0.001, skipped), done[^1].LossScale, 1e-3 * done[^1].LossScale);
        Assert.All(done.Skip(skipped), step => Assert.True(double.IsFinite(step.GradientNorm)));
        Assert.All(done.Take(skipped), step =>
            Assert.Equal(done[0].LossScale, step.LossScale / Math.Pow(0.001, step.Step - 1), 1e-3 * done[0].LossScale)
        );
        var logged = MetricsLog.Read(_folder.In("f16/metrics.jsonl")).OfType<StepDone>().ToList();
        Assert.Equal([10L, 20, 30], logged.Select(step => step.Step));
        Assert.All(logged, step =>
            Assert.Equal((done[(int)step.Step - 1].LossScale, done[(int)step.Step - 1].Skipped), (step.LossScale, step.Skipped))
        );
    }

    [Fact]
    public void Weights_stay_as_they_are_in_a_step_that_is_left_out()
    {
        // One step at a scale beyond floats.
        var recipe = Recipe("f16", "phases[0].steps=1", LargeGradients, "phases[0].lossScale.initial=3e38");
        var session = TrainingSession.Open(recipe, _folder.Path, new RunFolder(_folder.In("run")), resume: false, default);
        new OptimizerStep(session).Run(1e-2);
        Assert.Equal(1, session.State.Skipped);
        var untrained = recipe.Model.Build(session.Plan.Tokenizer!.VocabularySize, recipe.Seed);
        foreach (var (before, after) in untrained.Parameters().Zip(session.Model.Parameters()))
            Assert.Equal(before.Parameter.Value.ToArray(), after.Parameter.Value.ToArray());
    }

    [Fact]
    public void A_run_all_of_whose_steps_were_left_out_fails_and_leaves_no_model()
    {
        var message = Assert
            .Throws<InvalidDataException>(() => Train("f16", "phases[0].steps=3", LargeGradients, "phases[0].lossScale.initial=3e38"))
            .Message;
        Assert.Contains("all 3 steps of phases[0] were left out", message, StringComparison.Ordinal);
        Assert.Contains("phases[0].lossScale.initial", message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.In("f16/model.safetensors")));
    }

    [Fact]
    public void A_scale_below_its_floor_ends_training_and_says_what_to_try()
    {
        var message = Assert.Throws<InvalidDataException>(() => Train(
                    "f16", "phases[0].steps=500", "phases[0].learningRate=1e38", "phases[0].lossScale.initial=256",
                    "phases[0].lossScale.floor=16")
            )
            .Message;
        Assert.Contains("the loss scale has fallen to 8, below phases[0].lossScale.floor, 16", message, StringComparison.Ordinal);
        Assert.Contains("phases[0].learningRate", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4)] // while steps are still left out
    [InlineData(9)]
    [InlineData(13)]
    public void A_run_in_F16_that_crashed_reaches_the_bits_and_the_scale_of_an_undisturbed_one(int after)
    {
        var recipe = Recipe(
            "f16",
            "phases[0].steps=16",
            "phases[0].accumulate=2",
            "checkpoints.everySteps=1",
            LargeGradients,
            "phases[0].lossScale.initial=1e38",
            "phases[0].lossScale.backoff=0.001", "phases[0].lossScale.interval=3");
        var whole = _folder.Train(recipe, "whole").OfType<StepDone>().ToList();
        Assert.True(whole[^1].Skipped > 0);
        _folder.Crash(recipe, after);
        var resumed = _folder.Train(recipe, resume: true).OfType<StepDone>().ToList();
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
        Assert.Equal(
            whole.TakeLast(resumed.Count).Select(done => (done.Step, done.LossScale, done.Skipped, done.Loss)),
            resumed.Select(done => (done.Step, done.LossScale, done.Skipped, done.Loss)));
    }

    [Fact]
    public void What_auto_was_decided_to_be_is_written_down_and_a_resumed_run_keeps_it()
    {
        var best = Processor.GainsFromBf16 ? "bf16" : "f32";
        var recipe = Recipe("auto", "phases[0].steps=12");
        _folder.Crash(recipe, 6);
        Assert.Equal(best, Recorded());
        Assert.Equal(best, (Processor.Level is "avx512-bf16" or "amx") ? "bf16" : "f32");
        // A run that another machine began in F32 goes on in F32 here.
        File.WriteAllText(
            _folder.In("run/recipe.json"),
            File.ReadAllText(_folder.In("run/recipe.json"))
                .Replace($"\"precision\": \"{best}\"", "\"precision\": \"f32\"", StringComparison.Ordinal));
        var prepared = _folder.Train(recipe, resume: true).OfType<Prepared>().Single();
        Assert.Equal(["f32"], prepared.Precision);
        Assert.Equal("f32", Recorded());

        string Recorded() => (string)JsonNode.Parse(File.ReadAllText(_folder.In("run/recipe.json")))!["phases"]![0]!["precision"]!;
    }

    [WithoutBf16Fact]
    public void A_run_begun_in_numbers_that_gain_nothing_here_is_refused_unless_others_are_named()
    {
        _folder.Crash(Recipe("bf16"), 6);
        var message = Assert.Throws<RecipeException>(() => _folder.Train(Recipe("auto"), resume: true)).Message;
        Assert.StartsWith("phases[0].precision: is auto, which was bf16 where the run began", message, StringComparison.Ordinal);
        Assert.Equal(["f32"], _folder.Train(Recipe("f32"), resume: true).OfType<Prepared>().Single().Precision);
    }

    [Theory]
    [InlineData("precision=bf8", "phases[0].precision: is \"bf8\"; expected one of auto, f32, bf16, f16")]
    [InlineData("lossScale.growth=1", "phases[0].lossScale.growth: is 1; allowed: greater than 1")]
    [InlineData("lossScale.backoff=1", "phases[0].lossScale.backoff: is 1; allowed: greater than 0, below 1")]
    [InlineData("lossScale.interval=0", "phases[0].lossScale.interval: is 0; allowed: at least 1")]
    [InlineData("lossScale.initial=0", "phases[0].lossScale.initial: is 0; allowed: 1E-30 to 3.4028235E+38")]
    [InlineData("lossScale.initial=1e39", "phases[0].lossScale.initial: is 1E+39; allowed: 1E-30 to 3.4028235E+38")]
    [InlineData("lossScale.floor=100000", "phases[0].lossScale.floor: is 100000; allowed: at least 1E-30, at most initial, 65536")]
    public void Bad_options_are_told_with_their_place(string setting, string message) =>
        Assert.Equal(message, Assert.Throws<RecipeException>(() => TrainingFolder.Recipe($"phases[0].{setting}")).Message);

    private static Recipe Recipe(string precision, params string[] settings) =>
        TrainingFolder.Recipe([$"phases[0].precision={precision}", "checkpoints.everySteps=4", "model.decoder.dropout=0", .. settings]);

    private List<StepDone> Train(string precision, params string[] settings) =>
        [.. _folder.Train(Recipe(precision, settings), precision).OfType<StepDone>()];
}

/// <summary>A test of what is said where BF16 is not faster than F32; skipped where it is.</summary>
public sealed class WithoutBf16FactAttribute : FactAttribute
{
    /// <summary>Skips where the kernels in use gain from BF16.</summary>
    public WithoutBf16FactAttribute()
    {
        if (Processor.GainsFromBf16) Skip = "the kernels here gain from bf16; TESSERA_KERNELS=vector256 runs it";
    }
}
