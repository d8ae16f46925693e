using FsCheck.Fluent;

namespace Tessera.Tensors.Tests;

public class SegmentPlanTests
{
    [Fact]
    public void Rows_are_taken_apart_and_put_together_with_their_gradients()
    {
        Samples.ForAll(Gen.Choose(0, 4).Zip(Gen.Choose(0, 9), Gen.Choose(0, 5)).Zip(Samples.Seed), size =>
        {
            var ((batch, length, width), seed) = size;
            var numbers = Packed(batch, length, seed);
            var segments = Runs(numbers, length);
            var longest = segments.Select(run => run.Count).DefaultIfEmpty().Max();
            OperationCheck.Run(
                x =>
                {
                    var plan = SegmentPlan.Of(Tensor.From(numbers, [batch, length]));
                    Assert.Equal(segments.Select(run => run.Count), plan.Lengths.Ints.ToArray());
                    Assert.Equal(longest, plan.Longest);
                    return Op.Add(plan.Take(x[0]), plan.Take(x[0])); // gradients add up
                },
                x => [.. segments.SelectMany(run => Enumerable.Range(0, longest * width).Select(i =>
                    i / width < run.Count ? 2 * x[0][(run[i / width] * width) + (i % width)] : 0))],
                1e-6, OperationCheck.Random([batch, length, width], seed));
            OperationCheck.Run(
                x => SegmentPlan.Of(Tensor.From(numbers, [batch, length])).Place(x[0]),
                x => [.. Enumerable.Range(0, batch * length * width).Select(i =>
                {
                    var segment = segments.FindIndex(run => run.Contains(i / width));
                    return segment < 0 ? 0 : x[0][(((segment * longest) + segments[segment].IndexOf(i / width)) * width) + (i % width)];
                })],
                1e-6, OperationCheck.Random([segments.Count, longest, width], seed + 1));
        });
    }

    [Fact]
    public void Equal_numbers_in_two_rows_or_parted_by_padding_are_two_segments()
    {
        using var scope = Arena.Current.Scope();
        Assert.Equal([2, 1, 1, 2], SegmentPlan.Of(Tensor.From([0, 0, -1, 0, 0, 3, 3, -1], [2, 4])).Lengths.Ints.ToArray());
    }

    [Fact]
    public void Tokens_of_other_rows_are_refused()
    {
        using var scope = Arena.Current.Scope();
        var plan = SegmentPlan.Of(Tensor.From([0, 0, 1], [1, 3]));
        var error = Assert.Throws<ShapeException>(() => plan.Take(Tensor.Temporary([1, 4, 2])));
        Assert.Equal("take segments: x is F32 [1, 4, 2], which does not fit segments, I32 [1, 3]", error.Message);
        Assert.Throws<ShapeException>(() => plan.Place(Tensor.Temporary([1, 3, 2])));
        Assert.Throws<ShapeException>(() => plan.Place(Tensor.Temporary([2, 2])));
        Assert.Throws<ShapeException>(() => SegmentPlan.Of(Tensor.Temporary([1, 3])));
        Assert.Throws<ShapeException>(() => SegmentPlan.Of(Tensor.From([0, 0, 1], [3])));
    }

    /// <summary>Numbers of segments as packed rows have them, padding anywhere.</summary>
    private static int[] Packed(int batch, int length, int seed)
    {
        var random = new Random(seed);
        var numbers = new int[batch * length];
        for (var token = 0; token < numbers.Length; token++)
        {
            var before = token % length == 0 ? random.Next(-1, 3) : numbers[token - 1];
            numbers[token] = random.Next(3) == 0 ? random.Next(-1, 5) : before;
        }

        return numbers;
    }

    /// <summary>The tokens of each segment.</summary>
    private static List<List<int>> Runs(int[] numbers, int length)
    {
        var runs = new List<List<int>>();
        for (var token = 0; token < numbers.Length; token++)
        {
            if (numbers[token] < 0) continue;
            if (token % length == 0 || numbers[token - 1] != numbers[token]) runs.Add([]);
            runs[^1].Add(token);
        }

        return runs;
    }
}
