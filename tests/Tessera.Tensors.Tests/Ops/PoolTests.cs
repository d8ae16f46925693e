using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>What becomes of padded rows, and how far numbers are from others.</summary>
public class PoolTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(Pooling.First)]
    [InlineData(Pooling.Mean)]
    [InlineData(Pooling.Last)]
    public void Rows_become_their_first_their_last_or_the_mean_of_their_places(Pooling pooling)
    {
        using var errors = new Errors(output, $"pool {pooling}");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            var (batch, length) = (Math.Max(1, rows), 1 + (seed % 7));
            var lengths = Enumerable.Range(0, batch).Select(row => (row + seed) % (length + 1)).ToArray();
            errors.Add(OperationCheck.Run(
                x => Op.Pool(x[0], pooling, Tensor.From(lengths, [batch])),
                x => [.. Enumerable.Range(0, batch).SelectMany(row => Enumerable.Range(0, width).Select(column =>
                {
                    var places = Enumerable.Range(0, Math.Max(1, lengths[row]))
                        .Select(place => x[0][(((row * length) + place) * width) + column]).ToArray();
                    return pooling switch { Pooling.First => places[0], Pooling.Last => places[^1], _ => places.Average() };
                }))],
                1e-5, OperationCheck.Random([batch, length, width], seed)));
        });
    }

    [Fact]
    public void Without_lengths_all_places_are_real() => OperationCheck.Run(
        x => Op.Pool(x[0], Pooling.Last), x => [x[0][4], x[0][5], x[0][10], x[0][11]], 1e-6, OperationCheck.Random([2, 3, 2], 4));

    [Fact]
    public void What_stands_beyond_a_length_becomes_the_value() => OperationCheck.Run(
        x => Op.FillBeyond(x[0], Tensor.From([2, 0, 3], [3]), -7), x => [x[0][0], x[0][1], -7, -7, -7, -7, .. x[0][6..]], 1e-6,
        OperationCheck.Random([3, 3], 5));

    [Fact]
    public void The_squared_error_is_the_mean_over_targets_that_are_numbers() => OperationCheck.Run(
        x => Op.SquaredError(x[0], Tensor.From([1, float.NaN, -2, 0.5f], [4])),
        x => [(Math.Pow(x[0][0] - 1, 2) + Math.Pow(x[0][2] + 2, 2) + Math.Pow(x[0][3] - 0.5, 2)) / 3], 1e-6,
        OperationCheck.Random([2, 2], 6));

    [Fact]
    public void Lengths_and_targets_must_fit()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From(new float[12], [2, 3, 2]);
        Assert.Equal(
            "pool: a row has the length 4; allowed: 0 to 3",
            Assert.Throws<ShapeException>(() => Op.Pool(x, Pooling.Mean, Tensor.From([1, 4], [2]))).Message);
        Assert.Throws<ShapeException>(() => Op.Pool(x, Pooling.Mean, Tensor.From([1, 2, 3], [3])));
        Assert.Throws<ShapeException>(() => Op.FillBeyond(x, Tensor.From([1, 2], [2]), 0));
        Assert.Throws<ShapeException>(() => Op.SquaredError(x, Tensor.From(new float[11], [11])));
    }
}
