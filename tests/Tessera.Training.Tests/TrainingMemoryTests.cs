using Tessera.Tensors;

namespace Tessera.Training.Tests;

public sealed class TrainingMemoryTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_thousand_steps_of_an_encoder_decoder_with_experts_do_not_grow()
    {
        const int Settled = 300;
        var (capacity, bytes, grown, used) = (0L, 0L, 0L, 0L);
        var recipe = TrainingFolder.Recipe("phases[0].steps=1000", "checkpoints.everySteps=5000", "validation.everySteps=5000");
        _folder.Train(recipe, also: happened =>
        {
            if (happened is not StepDone { Step: var step }) return;
            if (step == Settled) (capacity, bytes) = (Arena.Current.Capacity, GC.GetAllocatedBytesForCurrentThread());
            if (step == 1000) (grown, used) = (Arena.Current.Capacity, GC.GetAllocatedBytesForCurrentThread());
        });
        var bytesAStep = (used - bytes) / (1000 - Settled);
        Assert.True(grown <= capacity, $"the arena grew from {capacity} to {grown} bytes");
        Assert.True(bytesAStep < 4096, $"{bytesAStep} managed bytes a step");
    }
}
