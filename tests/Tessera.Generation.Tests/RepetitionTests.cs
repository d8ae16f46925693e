using Tessera.Generation.Sampling;

namespace Tessera.Generation.Tests;

public sealed class RepetitionTests
{
    private const float Never = float.NegativeInfinity;

    [Fact]
    public void The_penalty_makes_what_was_said_less_likely_on_either_side_of_zero_and_once() => Assert.Equal(
        [1f, 1, -2, -4, 0], Apply(new GreedyOptions { RepetitionPenalty = 2 }, [1, 2, -2, -2, 0], [1, 3, 1, 4, 3]));

    [Theory]
    [InlineData(1, new[] { 0, 1, 2 }, new[] { 0, 1, 2 })]
    [InlineData(2, new[] { 1, 2, 1 }, new[] { 2 })]
    [InlineData(2, new[] { 1, 2, 3 }, new int[0])]
    [InlineData(2, new[] { 3, 3 }, new[] { 3 })]
    [InlineData(3, new[] { 1, 2, 0, 1, 2, 4, 1, 2 }, new[] { 0, 4 })]
    [InlineData(3, new[] { 1, 2 }, new int[0])]
    [InlineData(4, new[] { 1, 2, 1 }, new int[0])]
    public void No_run_is_written_twice(int length, int[] before, int[] forbidden)
    {
        var found = Apply(new GreedyOptions { NoRepeatNgramSize = length }, [5, 5, 5, 5, 5], before);
        Assert.Equal([.. Enumerable.Range(0, 5).Select(token => forbidden.Contains(token) ? Never : 5)], found);
    }

    [Fact]
    public void Beams_and_samples_hold_back_too()
    {
        var model = TinyModel.Build(readsSource: false, vocabulary: 12, 3);
        foreach (var options in new DecodingOptions[] { new BeamOptions(3) { NoRepeatNgramSize = 1 }, new SamplingOptions(Temperature: 0.1f) { NoRepeatNgramSize = 1 }, new GreedyOptions { NoRepeatNgramSize = 1 } })
        {
            var ids = Generator.Generate(model, [[4, 5, 6]], options, maxNewTokens: 6, ends: [])[0].Ids;
            Assert.Equal(9, ids.Concat([4, 5, 6]).Distinct().Count());
        }
    }

    [Fact]
    public void Options_out_of_range_are_refused()
    {
        Assert.Equal("repetition penalty is 0; allowed: greater than 0", Assert.Throws<ArgumentException>(() => new GreedyOptions { RepetitionPenalty = 0 }.Validate()).Message);
        Assert.Equal("no-repeat n-gram size is -1; allowed: at least 0", Assert.Throws<ArgumentException>(() => new BeamOptions { NoRepeatNgramSize = -1 }.Validate()).Message);
    }

    private static float[] Apply(DecodingOptions options, float[] scores, int[] before) => new Repetition(options, scores.Length).Apply(scores, before).ToArray();
}
