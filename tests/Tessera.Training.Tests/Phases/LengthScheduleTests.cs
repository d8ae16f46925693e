using Tessera.Nn;
using Tessera.Training.Phases;

namespace Tessera.Training.Tests.Phases;

public sealed class LengthScheduleTests
{
    [Theory]
    [InlineData(5, 8, 16)]
    [InlineData(8, 5, 16)]
    [InlineData(5, 5, 16)]
    [InlineData(2, 30, 7)]
    public void Each_whole_length_has_its_share_of_the_phase_the_last_included(int from, int to, int steps)
    {
        var schedule = new LengthSchedule(from, to);
        var lengths = Enumerable.Range(0, steps).Select(step => schedule.At((double)step / steps)).ToList();
        Assert.Equal(from, lengths[0]);
        Assert.Equal(to, schedule.At(1));
        var direction = Math.Sign(to - from);
        Assert.All(lengths.Zip(lengths.Skip(1)), pair => Assert.True((pair.Second - pair.First) * direction >= 0));
        var all = Math.Abs(to - from) + 1;
        if (steps % all == 0) Assert.All(lengths.GroupBy(length => length), group => Assert.Equal(steps / all, group.Count()));
    }

    [Fact]
    public void With_the_square_root_a_length_is_reached_when_the_square_of_its_share_is_done()
    {
        var schedule = new LengthSchedule(10, 19, LengthCurve.SquareRoot);
        for (var length = 10; length <= 19; length++)
        {
            var reached = Math.Pow((length - 10) / 10.0, 2);
            Assert.Equal(length, schedule.At(reached + 1e-9));
            if (length > 10) Assert.Equal(length - 1, schedule.At(reached - 1e-9));
        }
    }

    [Theory]
    [InlineData("1", "phases[0].length: is 1; allowed: 2 to 1048576")]
    [InlineData("{\"from\":1,\"to\":8}", "phases[0].length.from: is 1; allowed: 2 to 1048576")]
    [InlineData("{\"from\":8,\"to\":2000000}", "phases[0].length.to: is 2000000; allowed: 2 to 1048576")]
    [InlineData("{\"from\":8}", "phases[0].length: lacks to; expected a whole number, or an object { \"from\", \"to\" }")]
    [InlineData("{\"from\":8,\"to\":9.5}", "phases[0].length: has to 9.5; expected a whole number")]
    [InlineData("{\"from\":8,\"until\":9}", "phases[0].length: has the key until; allowed: from, to, schedule")]
    [InlineData("{\"from\":8,\"to\":9,\"schedule\":\"cosine\"}",
        "phases[0].length: has schedule \"cosine\"; expected one of linear, square-root")]
    [InlineData("long", "phases[0].length: is \"long\"; expected a whole number, or an object { \"from\", \"to\" }")]
    public void A_length_that_cannot_be_is_told_with_its_place(string length, string message) =>
        Assert.Equal(message, Assert.Throws<RecipeException>(() => TrainingFolder.Recipe($"phases[0].length={length}")).Message);
}
