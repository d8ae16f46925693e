using Tessera.Models;

namespace Tessera.Training.Tests;

/// <summary>The bias that evens out the loads of experts is learned without a gradient.</summary>
public sealed class ExpertBiasTests : IDisposable
{
    private const string Bias = "decoder.layers.0.feed_forward.router.gate.e_score_correction_bias";

    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_moves_by_its_rate_once_a_step_and_goes_on_after_a_crash()
    {
        var recipe = TrainingFolder.TextRecipe(
            """model.decoder.feedForward.router={"kind":"sigmoid","biasRate":0.125}""", "model.mtpDepth=1", "phases[0].accumulate=2",
            """phases[0].losses={"mtp":0.3,"sequence-balance":0.0001}""", "phases[0].steps=8");
        _folder.Train(recipe, "whole");
        _folder.Crash(recipe, 7);
        _folder.Train(recipe, resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());

        // Eighths, of 8 steps of at most one.
        var bias = ModelFolder.Load(_folder.In("whole")).Model.Parameters().Single(own => own.Name == Bias).Parameter;
        Assert.False(bias.IsTrained);
        Assert.Contains(bias.Value.ToArray(), value => value != 0);
        Assert.All(bias.Value.ToArray(), value => Assert.True(value * 8 == Math.Round(value * 8) && Math.Abs(value) <= 1, $"{value}"));
    }
}
