using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class DropoutTests(ITestOutputHelper output)
{
    [Fact]
    public void Dropout_keeps_or_drops_and_its_gradient_does_the_same()
    {
        using var errors = new Errors(output, "dropout");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            var random = new CounterRandom((ulong)seed);
            // What is dropped is learnt from ones, so that the equation shares nothing else with the operation.
            float[] kept;
            using (Arena.Current.Scope())
                kept = Op.Dropout(Tensor.From([.. Enumerable.Repeat(1f, rows * width)], [rows, width]), 0.3f, random).ToArray();
            Assert.All(kept, value => Assert.True(value == 0 || Math.Abs(value - (1 / 0.7)) < 1e-6));
            errors.Add(OperationCheck.Run(
                x => Op.Dropout(x[0], 0.3f, random), x => [.. x[0].Select((value, i) => kept[i] == 0 ? 0 : value / 0.7)], 1e-6,
                OperationCheck.Random([rows, width], seed)));
        });
    }

    [Theory]
    [InlineData(0.1f)]
    [InlineData(0.5f)]
    [InlineData(0.9f)]
    public void The_share_that_is_dropped_is_the_rate_and_the_mean_stays(float rate)
    {
        using var scope = Arena.Current.Scope();
        const int Count = 200_000;
        var ones = Tensor.From([.. Enumerable.Repeat(1f, Count)], [Count]);
        var y = Op.Dropout(ones, rate, new CounterRandom(11)).ToArray();
        var deviation = Math.Sqrt(rate * (1 - rate) / Count);
        Assert.InRange(y.Count(value => value == 0) / (double)Count, rate - (5 * deviation), rate + (5 * deviation));
        Assert.InRange(y.Average(value => (double)value), 1 - (5 * deviation / (1 - rate)), 1 + (5 * deviation / (1 - rate)));

        // Neighbours share a random number; they must be independent all the same.
        for (var lag = 1; lag <= 5; lag++)
        {
            var both = Enumerable.Range(0, Count - lag).Count(i => y[i] == 0 && y[i + lag] == 0) / (double)(Count - lag);
            Assert.InRange(both, (rate * rate) - (6 * deviation), (rate * rate) + (6 * deviation));
        }
    }

    [Fact]
    public void The_same_sequence_drops_the_same_and_another_does_not()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From(OperationCheck.Random([100], 1).Values, [100]);
        var first = Op.Dropout(x, 0.5f, new CounterRandom(1)).ToArray();
        Assert.Equal(first, Op.Dropout(x, 0.5f, new CounterRandom(1)).ToArray());
        Assert.NotEqual(first, Op.Dropout(x, 0.5f, new CounterRandom(2)).ToArray());
    }

    [Fact]
    public void A_rate_of_zero_returns_the_tensor_itself_and_one_outside_its_range_is_refused()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From([1f], [1]);
        Assert.Same(x, Op.Dropout(x, 0, new CounterRandom(1)));
        foreach (var rate in new[] { -0.1f, 1, 1.5f, float.NaN })
            Assert.Throws<ArgumentOutOfRangeException>(() => Op.Dropout(x, rate, new CounterRandom(1)));
    }
}
