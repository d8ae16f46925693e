using Tessera.Models;
using Tessera.Training.Phases;

namespace Tessera.Training.Tests;

public sealed class EarlyStoppingTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(5)] // a checkpoint at each evaluation
    [InlineData(1000)]
    public void Training_stops_and_the_best_weights_are_kept(int checkpointEvery)
    {
        var recipe = Recipe("validation.patience=2", $"checkpoints.everySteps={checkpointEvery}", "checkpoints.keep=1");
        // Ten steps that learn, then steps that destroy.
        recipe = recipe with { Phases = [recipe.Phases[0] with { Steps = 10 }, recipe.Phases[0] with { Steps = 500, LearningRate = 3 }] };
        var validated = _folder.Train(recipe).OfType<Validated>().ToList();
        Assert.Equal([true, true, false, false], validated.Select(happened => happened.IsBest));
        Assert.Equal(validated[1].Loss, Loss());
        var weights = _folder.Weights();
        _folder.Train(recipe, resume: true);
        Assert.Equal(weights, _folder.Weights());
    }

    [Fact]
    public void A_run_stopped_after_its_best_evaluation_still_ends_with_it()
    {
        var recipe = Recipe("validation.patience=2", "checkpoints.keep=1", "checkpoints.everySteps=1000");
        recipe = recipe with { Phases = [recipe.Phases[0] with { Steps = 10 }, recipe.Phases[0] with { Steps = 500, LearningRate = 3 }] };
        _folder.Train(recipe, "whole");
        using var source = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => _folder.Train(recipe, cancellation: source.Token, also: happened =>
        {
            if (happened is Validated { Step: 10 }) source.Cancel();
        }));
        _folder.Train(recipe, resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
    }

    [Theory]
    [InlineData(5)]
    [InlineData(1000)]
    public void Where_the_last_weights_are_the_best_resuming_the_finished_run_keeps_them(int checkpointEvery)
    {
        var recipe = Recipe("validation.patience=9", "phases[0].steps=15", $"checkpoints.everySteps={checkpointEvery}");
        var validated = _folder.Train(recipe).OfType<Validated>().ToList();
        Assert.Equal([true, true, true], validated.Select(happened => happened.IsBest));
        var weights = _folder.Weights();
        Assert.Equal(validated[^1].Loss, Loss());
        Assert.Empty(_folder.Train(recipe, resume: true).OfType<StepDone>());
        Assert.Equal(weights, _folder.Weights());
    }

    private static Recipe Recipe(params string[] settings) => TrainingFolder.Recipe(["validation.everySteps=5", .. settings]);

    private double Loss()
    {
        var loaded = ModelFolder.Load(_folder.In("run"));
        var corpus = TrainingFolder.Recipe().Data.Load(_folder.Path);
        return TrainingFolder.Loss(loaded, corpus, TrainingFolder.Recipe().Batches);
    }
}
