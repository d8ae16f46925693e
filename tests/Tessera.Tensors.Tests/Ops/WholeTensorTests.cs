namespace Tessera.Tensors.Tests.Ops;

/// <summary>What is done to, or read off, all elements of a tensor.</summary>
public class WholeTensorTests
{
    [Fact]
    public void Fill_sets_the_elements_of_a_part_and_leaves_the_rest()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From([1f, 2, 3, 4, 5, 6], [3, 2]);
        Op.Fill(x.Slice(1, 1), 7);
        Assert.Equal([1, 2, 7, 7, 5, 6], x.ToArray());
        Assert.Throws<ShapeException>(() => Op.Fill(Tensor.From([1], [1]), 0));
    }

    [Fact]
    public void The_largest_number_is_found_wherever_it_stands()
    {
        using var scope = Arena.Current.Scope();
        for (var count = 1; count < 70; count++)
        {
            var numbers = Samples.Below(1000, count, count).Select(number => number - 900).ToArray();
            Assert.Equal(numbers.Max(), Op.Largest(Tensor.From(numbers, [count, 1])));
        }

        Assert.Equal(int.MinValue, Op.Largest(Tensor.From([int.MinValue], [1])));
        Assert.Throws<ShapeException>(() => Op.Largest(Tensor.Temporary([2])));
        Assert.Throws<ShapeException>(() => Op.Largest(Tensor.From(Array.Empty<int>(), [0])));
    }

    [Fact]
    public void A_bias_moves_against_the_loads_above_the_mean()
    {
        using var scope = Arena.Current.Scope();
        var bias = Tensor.From([0.3f, 0.1f, -0.2f, 0], [4]);
        Op.EvenLoads(bias, [9, 0, 4, 3], 0.125f); // the mean is 4
        Assert.Equal([0.3f - 0.125f, 0.1f + 0.125f, -0.2f, 0.125f], bias.ToArray());
        Op.EvenLoads(bias, [2, 2, 2, 2], 0.125f);
        Assert.Equal([0.3f - 0.125f, 0.1f + 0.125f, -0.2f, 0.125f], bias.ToArray());
        var error = Assert.Throws<ShapeException>(() => Op.EvenLoads(bias, [1, 2], 1));
        Assert.Equal("even loads: bias is F32 [4], expected [2], a number for each load", error.Message);
    }
}
