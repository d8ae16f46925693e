using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Ops;

public class LimitGroupsTests
{
    [Fact]
    public void Columns_of_all_but_the_best_groups_are_minus_infinity()
    {
        Samples.ForAll(Gen.Elements(0, 1, 3, 200).Zip(Gen.Choose(1, 8), Gen.Choose(1, 6)).Zip(Gen.Choose(2, 1000), Samples.Seed), sizes =>
        {
            var ((rows, groups, size), distinct, seed) = sizes;
            var (active, best) = (1 + (seed % groups), 1 + (seed / 7 % size));
            var scores = Samples.Below(distinct, rows * groups * size, seed).Select(value => value / 1000f).ToArray(); // many may be equal
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var limited = Op.LimitGroups(Tensor.From(scores, [rows, groups * size]).WithGradient(), groups, active, best);
            Assert.Equal(scores.Chunk(groups * size).SelectMany(row => Limit(row, size, active, best)), limited.ToArray());
            Assert.False(limited.RequiresGradient);
        });
    }

    [Fact]
    public void NaN_counts_as_the_largest_score_so_that_it_is_seen()
    {
        using var scope = Arena.Current.Scope();
        float[] scores = [9, 9, 1, float.NaN, 8, 8];
        var limited = Op.LimitGroups(Tensor.From(scores, [1, 6]), groups: 3, active: 1, best: 2).ToArray();
        Assert.Equal(
            [float.NegativeInfinity, float.NegativeInfinity, 1, float.NaN, float.NegativeInfinity, float.NegativeInfinity], limited);
    }

    [Theory]
    [InlineData(0, 1, 1, "limit groups: scores is F32 [2, 6], expected [rows, a multiple of 0]")]
    [InlineData(4, 1, 1, "limit groups: scores is F32 [2, 6], expected [rows, a multiple of 4]")]
    [InlineData(3, 0, 1, "limit groups: active is 0, allowed: 1 to 3 groups")]
    [InlineData(3, 4, 1, "limit groups: active is 4, allowed: 1 to 3 groups")]
    [InlineData(3, 1, 0, "limit groups: best is 0, allowed: 1 to the 2 columns of a group")]
    [InlineData(3, 1, 3, "limit groups: best is 3, allowed: 1 to the 2 columns of a group")]
    public void Groups_that_cannot_be_are_refused(int groups, int active, int best, string message)
    {
        using var scope = Arena.Current.Scope();
        var scores = Tensor.Temporary([2, 6]);
        Assert.Equal(message, Assert.Throws<ShapeException>(() => Op.LimitGroups(scores, groups, active, best)).Message);
    }

    private static IEnumerable<float> Limit(float[] row, int size, int active, int best)
    {
        var sums = row.Chunk(size).Select(group => group.OrderDescending().Take(best).Aggregate(0f, (sum, score) => sum + score)).ToArray();
        var chosen = Enumerable.Range(0, sums.Length).OrderByDescending(group => sums[group]).Take(active).ToHashSet(); // a stable sort
        return row.Select((score, i) => chosen.Contains(i / size) ? score : float.NegativeInfinity);
    }
}
