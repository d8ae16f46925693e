using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class GatesTests(ITestOutputHelper output)
{
    [Fact]
    public void Top_indices_are_those_of_a_stable_sort()
    {
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            using var scope = Arena.Current.Scope();
            var count = 1 + (seed % width);
            var scores = Samples.Below(5, rows * width, seed).Select(value => (float)value).ToArray(); // many are equal
            var expected = scores.Chunk(width).SelectMany(row =>
                Enumerable.Range(0, width).OrderByDescending(i => row[i]).ThenBy(i => i).Take(count));
            Assert.Equal(expected, Op.TopIndices(Tensor.From(scores, [rows, width]), count).Ints.ToArray());
        });
    }

    [Fact]
    public void NaN_counts_as_the_largest_score_so_that_it_is_seen()
    {
        using var scope = Arena.Current.Scope();
        float[] scores = [1, float.NaN, 3, float.PositiveInfinity, float.NaN];
        Assert.Equal([1, 4, 3, 2, 0], Op.TopIndices(Tensor.From(scores, [1, 5]), 5).Ints.ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public void More_indices_than_scores_are_refused(int count)
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => Op.TopIndices(Tensor.From(new float[6], [2, 3]), count));
        Assert.Contains("F32 [2, 3]", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Select_agrees_with_its_equation_on_random_shapes(bool normalise)
    {
        using var errors = new Errors(output, $"select, normalised {normalise}");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            var count = 1 + (seed % Math.Min(width, 4));
            var (shape, scores) = OperationCheck.Random([rows, width], seed);
            scores = [.. scores.Select(score => Math.Abs(score) + 0.1f)];
            int[] choices;
            using (Arena.Current.Scope()) choices = Op.TopIndices(Tensor.From(scores, shape), count).Ints.ToArray();
            errors.Add(OperationCheck.Run(
                    x => Op.Select(x[0], Tensor.From(choices, [rows, count]), normalise, 2.5f),
                    x =>
                    {
                        var chosen = choices.Select((choice, i) => x[0][(i / count * width) + choice]).ToArray();
                        return
                        [
                            .. chosen.Select(
                                (value, i) => 2.5 * value / (normalise ? chosen.Skip(i / count * count).Take(count).Sum() : 1)),
                        ];
                    },
                2e-6, (shape, scores)));
        });
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(3)]
    public void A_choice_outside_the_row_is_refused(int choice)
    {
        using var scope = Arena.Current.Scope();
        var scores = Tensor.From(new float[6], [2, 3]);
        var error = Assert.Throws<ShapeException>(() => Op.Select(scores, Tensor.From([0, choice], [2, 1]), false));
        Assert.Equal($"select: choice {choice} is not one of 3 scores", error.Message);
        Assert.Throws<ShapeException>(() => Op.Select(scores, Tensor.From([0], [1, 1]), false));
    }

    [Fact]
    public void ScaleGroups_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "scale groups");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Gen.Choose(1, 4)).Zip(Gen.Choose(0, 2).Zip(Gen.Choose(0, 2)), Samples.Seed), size =>
        {
            var ((rows, width, groups), (first, beyond), seed) = size;
            var columns = first + groups + beyond;
            errors.Add(OperationCheck.Run(
                x => Op.ScaleGroups(x[0], x[1], groups, first, 1.5f),
                x => [.. x[0].Select((value, i) =>
                {
                    var (row, column) = (i / (groups * width), i % (groups * width));
                    return 1.5 * value * x[1][(row * columns) + first + (column / width)];
                })],
                2e-6, OperationCheck.Random([rows, groups * width], seed), OperationCheck.Random([rows, columns], seed + 1)));
        });
    }

    [Fact]
    public void A_tensor_that_scales_itself_collects_both_gradients() => OperationCheck.Run(
        x => Op.ScaleGroups(x[0], x[0], 3), x => [.. x[0].Select(value => value * value)], 2e-6, OperationCheck.Random([2, 3], 1));

    [Fact]
    public void Groups_that_do_not_fit_are_refused()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.Temporary([2, 6]);
        Assert.Throws<ShapeException>(() => Op.ScaleGroups(x, Tensor.Temporary([2, 4]), 4));
        Assert.Throws<ShapeException>(() => Op.ScaleGroups(x, Tensor.Temporary([2, 4]), 3, first: 2));
        Assert.Throws<ShapeException>(() => Op.ScaleGroups(x, Tensor.Temporary([3, 4]), 3));
        Assert.Throws<ShapeException>(() => Op.ScaleGroups(x, Tensor.Temporary([2, 4]), 3, first: -1));
        Assert.Throws<ShapeException>(() => Op.ScaleGroups(x, Tensor.Temporary([2, 4]), 0));
    }
}
