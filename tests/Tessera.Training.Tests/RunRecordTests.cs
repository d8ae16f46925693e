using System.Text.Json.Nodes;
using Tessera.Models;
using Tessera.Tensors;
using Tessera.Training.Precision;

namespace Tessera.Training.Tests;

/// <summary>What a run's folder says of it.</summary>
public sealed class RunRecordTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(3)]
    [InlineData(18)]
    public void A_finished_run_knows_all_of_its_steps(int steps)
    {
        var before = DateTime.UtcNow;
        var events = _folder.Train(TrainingFolder.Recipe($"phases[0].steps={steps}", "seed=7"));
        var record = Record();
        Assert.Equal((RunStatus.Finished, "tiny", 7ul), (record.Status, record.Name, record.Seed));
        Assert.Equal((steps, (long?)steps), (record.Steps, record.ModelStep));
        Assert.Equal(events.OfType<StepDone>().Last().Tokens, record.Tokens);
        Assert.Equal(events.OfType<Validated>().Last().Loss, record.BestLoss);
        Assert.Equal((60, 10, 0), (record.Examples, record.ValidationExamples, record.TooLong));
        var stretch = Assert.Single(record.Stretches);
        Assert.Equal((0, steps, Processor.Level), (stretch.FromStep, stretch.ToStep, stretch.Kernels));
        Assert.InRange(stretch.Began, before, DateTime.UtcNow);
        Assert.InRange(record.TrainingSeconds, 0.001, record.Seconds);
        Assert.Equal(steps, MetricsLog.Read(_folder.In("run/metrics.jsonl")).OfType<StepDone>().Last().Step);
    }

    [Fact]
    public void Stretches_of_a_stopped_run_follow_one_another_and_steps_done_twice_count_once()
    {
        using var source = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => _folder.Train(TrainingFolder.Recipe(), cancellation: source.Token, also: happened =>
        {
            if (happened is StepDone { Step: 7 }) source.Cancel();
        }));
        Assert.Equal((RunStatus.Stopped, 7, null), (Record().Status, Record().Steps, Record().ModelStep));
        _folder.Crash(TrainingFolder.Recipe(), 11, resume: true); // its last checkpoint is of step 10
        Assert.Equal(RunStatus.Failed, Record().Status);
        _folder.Train(TrainingFolder.Recipe(), resume: true);
        Assert.Equal(RunStatus.Finished, Record().Status);
        Assert.Equal([(0L, 7L), (7, 10), (10, 12)], Record().Stretches.Select(stretch => (stretch.FromStep, stretch.ToStep)));
    }

    [Fact]
    public void A_run_that_was_killed_before_its_model_was_written_writes_it_when_resumed()
    {
        _folder.Train(TrainingFolder.Recipe(), "whole");
        Assert.Throws<TrainingFolder.CrashException>(() => _folder.Train(TrainingFolder.Recipe(), also: happened =>
        {
            if (happened is Saved { Step: 12 }) throw new TrainingFolder.CrashException();
        }));
        Assert.False(File.Exists(_folder.In("run/model.safetensors")));
        Assert.Empty(_folder.Train(TrainingFolder.Recipe(), resume: true).OfType<StepDone>());
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
    }

    [Theory]
    [InlineData(12, 5)]
    [InlineData(10, 5)]
    public void Each_step_is_saved_once(int steps, int every)
    {
        var saved = _folder.Train(TrainingFolder.Recipe($"phases[0].steps={steps}", $"checkpoints.everySteps={every}")).OfType<Saved>();
        Assert.Equal([5L, .. new[] { 10L, steps }.Distinct()], saved.Select(one => one.Step));
    }

    [Theory]
    [InlineData("best")]
    [InlineData("last")]
    public void The_finished_model_has_the_weights_of_the_lowest_validation_loss_unless_the_last_are_wanted(string which)
    {
        var recipe = TrainingFolder.Recipe(
            "validation.everySteps=5", $"validation.finishWith={which}", "checkpoints.keep=1", "checkpoints.everySteps=1000");
        // Ten steps that learn, then steps that destroy.
        recipe = recipe with { Phases = [recipe.Phases[0] with { Steps = 10 }, recipe.Phases[0] with { Steps = 15, LearningRate = 3 }] };
        var events = _folder.Train(recipe);
        var validated = events.OfType<Validated>().ToList();
        Assert.Equal([true, true, false, false, false], validated.Select(happened => happened.IsBest));
        var expected = which == "best" ? validated[1] : validated[^1];
        var finished = events.OfType<Finished>().Single();
        Assert.Equal((25, expected.Step, (double?)validated[1].Loss), (finished.Step, finished.ModelStep, finished.Loss));
        Assert.Equal(expected.Step, Record().ModelStep);
        var corpus = recipe.Data.Load(_folder.Path);
        Assert.Equal(expected.Loss, TrainingFolder.Loss(ModelFolder.Load(_folder.In("run")), corpus, recipe.Batches));
    }

    [Fact]
    public void Bf16_that_is_computed_in_f32_is_said()
    {
        var prepared = _folder.Train(TrainingFolder.Recipe("phases[0].precision=bf16", "phases[0].steps=1")).OfType<Prepared>().Single();
        var used = Processor.GainsFromBf16 ? "bf16" : "f32";
        Assert.Equal(["bf16"], prepared.Precision);
        Assert.Equal([used], prepared.ComputedIn);
        var machine = JsonNode.Parse(File.ReadAllText(_folder.In("run/machine.json")))!["computed"]![0]!;
        Assert.Equal(("bf16", used), ((string)machine["precision"]![0]!, (string)machine["computedIn"]![0]!));
        Assert.Equal("bf16 (computed in f32: bf16 is no faster here), then f32", PhasePrecisions.Describe(["bf16", "f32"], ["f32", "f32"]));
    }

    private RunRecord Record() => RunRecord.Read(new RunFolder(_folder.In("run")))!;
}
