using Tessera.Tensors;

namespace Tessera.Training.Tests;

public sealed class AccumulationTests : IDisposable
{
    private readonly TrainingFolder _folder = new(pairs: 800);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Batches_of_unlike_size_that_are_accumulated_count_target_by_target()
    {
        // Two pairs, one much longer: as one batch, and as two of one pair each.
        File.WriteAllLines(
            _folder.In("train.jsonl"),
            ["""{"source":"one","target":"a b c d e f g h"}""", """{"source":"two","target":"z"}"""]
        );
        StepDone Step(string run, int tokens, int accumulate) => _folder.Train(
                    TrainingFolder.Recipe(
                        "phases[0].steps=1",
                        $"batches.tokens={tokens}",
                        $"phases[0].accumulate={accumulate}",
                        "phases[0].losses={}",
                        "model.decoder.dropout=0",
                """model.decoder.feedForward={"kind":"swiglu","hidden":16}""", "data.validation=null", "data.validationFraction=0"),
            run).OfType<StepDone>().Single();

        var (together, apart, alone) = (Step("together", 1000, 1), Step("apart", 1, 2), Step("alone", 1, 1));
        Assert.Equal(together.Tokens, apart.Tokens);
        Assert.NotEqual(together.Tokens, alone.Tokens);
        Assert.Equal(together.Loss, apart.Loss, 1e-5 * together.Loss);
        Assert.Equal(together.GradientNorm, apart.GradientNorm, 1e-4 * together.GradientNorm);
    }

    [Fact]
    public void A_batch_four_times_as_large_needs_no_more_memory()
    {
        var (small, accumulated, large) = (Peak(512, 1), Peak(512, 4), Peak(2048, 1));
        Assert.True(accumulated <= small * 1.03, $"{small} bytes for one batch, {accumulated} for four");
        Assert.True(large > small * 2, $"{small} bytes for one batch, {large} for one of four times its size");
    }

    /// <summary>The arena of a run's thread over the same 24 batches (or as much data in larger ones): gradients and weights are
    /// the same in all.</summary>
    private long Peak(int tokens, int accumulate)
    {
        var peak = 0L;
        var thread = new Thread(() =>
        {
            _folder.Train(
                TrainingFolder.TextRecipe(
                    $"phases[0].steps={24 * 512 / tokens / accumulate}", $"batches.tokens={tokens}", $"phases[0].accumulate={accumulate}",
                    "model.width=64"),
                $"{tokens}-{accumulate}", also: happened => peak = happened is StepDone ? Math.Max(peak, Arena.Current.Capacity) : peak);
        });
        thread.Start();
        thread.Join();
        return peak;
    }
}
