using Tessera.Generation.Sampling;
using Tessera.Models;

namespace Tessera.Generation.Tests.Sampling;

public sealed class LogitsProcessorTests
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
        foreach (var options in new DecodingOptions[]
        {
            new BeamOptions(3), new SamplingOptions(Temperature: 0.1f), new GreedyOptions(),
        })
        {
            var ids = Generator.Generate(model, [[4, 5, 6]], options with { NoRepeatNgramSize = 1 }, 6, stopTokens: [])[0].Ids;
            Assert.Equal(9, ids.Concat([4, 5, 6]).Distinct().Count());
        }
    }

    [Fact]
    public void Processors_of_options_come_in_order_and_those_of_code_after_them()
    {
        var options = new GreedyOptions { RepetitionPenalty = 2, NoRepeatNgramSize = 2, Processors = [new Raise(3, 10), new Raise(1, 1)] };
        Assert.Equal(
            [typeof(RepetitionPenalty), typeof(NoRepeatNgram), typeof(Raise), typeof(Raise)],
            LogitsProcessorChain.Of(options).Processors.Select(one => one.GetType()));
        // Halved first, raised afterwards.
        Assert.Equal([4f, 3, 4, 12], Apply(options, [4, 4, 4, 4], [1, 3]));
    }

    [Fact]
    public void Logits_that_nothing_changes_are_not_copied()
    {
        float[] logits = [1, 2, 3];
        Assert.True(new LogitsProcessorChain().Apply(logits, default) == logits);
        Assert.True(new LogitsProcessorChain().Apply(logits, default, new MinimumLength(0, 2)) == logits);
        new LogitsProcessorChain(new Raise(0, 5)).Apply(logits, default, new ForbiddenTokens(1));
        Assert.Equal([1f, 2, 3], logits);
    }

    [Fact]
    public void A_processor_written_elsewhere_changes_what_is_generated_in_every_way()
    {
        foreach (var readsSource in new[] { true, false })
        {
            var model = TinyModel.Build(readsSource, vocabulary: 12, 3);
            foreach (var options in new DecodingOptions[]
            {
                new GreedyOptions(), new SamplingOptions(Seed: 4), new BeamOptions(3),
            })
            {
                var with = options with { Processors = [new OneAfterTheOther()] };
                Assert.Equal([3, 4, 5, 6, 7], Generator.Generate(model, [[4, 5, 6], [9]], with, maxNewTokens: 5)[1].Ids);
            }
        }
    }

    [Fact]
    public void Processors_that_leave_no_token_are_named()
    {
        var (model, options) = (TinyModel.Build(readsSource: false, 5, 1), new GreedyOptions { NoRepeatNgramSize = 1 });
        var error = Assert.Throws<NoTokenAllowedException>(() =>
            Generator.Generate(model, [[4], [0]], options, maxNewTokens: 8, stopTokens: []));
        Assert.Equal("no token is left by NoRepeatNgram at position 4 of sequence 0", error.Message);
        Assert.Equal((4, 0), (error.Position, error.Sequence));
        AssertTold<NoTokenAllowedException>("no token is left by NoRepeatNgram and ForbiddenTokens at position 1 of sequence 6", () =>
            new LogitsProcessorChain(new NoRepeatNgram(1)).Apply([1, 2, 3], new TokenHistory([0, 1], 1, 6), new ForbiddenTokens(2)));
    }

    [Fact]
    public void Options_out_of_range_are_refused()
    {
        AssertTold<ArgumentException>(
            "repetition penalty is 0; allowed: 0.001 to 1000", () => new GreedyOptions { RepetitionPenalty = 0 }.Validate());
        AssertTold<ArgumentException>(
            "no-repeat n-gram size is -1; allowed: at least 0", () => new BeamOptions { NoRepeatNgramSize = -1 }.Validate());
        AssertTold<ArgumentOutOfRangeException>("penalty is NaN; allowed: ", () => _ = new RepetitionPenalty(float.NaN));
        AssertTold<ArgumentOutOfRangeException>("n-gram size is 0; allowed: ", () => _ = new NoRepeatNgram(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TokenHistory([1, 2], promptLength: 3));
        AssertTold<ArgumentException>("BeamOptions has no sampler", () => Sampler.Of(new BeamOptions()));
    }

    private static void AssertTold<TException>(string expected, Action action) where TException : Exception =>
        Assert.Contains(expected, Assert.Throws<TException>(action).Message, StringComparison.Ordinal);

    private static float[] Apply(DecodingOptions options, float[] logits, int[] before) =>
        LogitsProcessorChain.Of(options).Apply(logits, new TokenHistory(before, before.Length)).ToArray();

    private sealed class Raise(int token, float by) : LogitsProcessor
    {
        public override void Apply(Span<float> logits, TokenHistory history) => logits[token] += by;
    }

    /// <summary>3, 4, 5 and so on, whatever the prompt.</summary>
    private sealed class OneAfterTheOther : LogitsProcessor
    {
        public override void Apply(Span<float> logits, TokenHistory history)
        {
            var prompt = string.Join(' ', history.Tokens[..history.PromptLength].ToArray());
            Assert.Contains(prompt, new[] { $"{SpecialTokens.Begin}", "4 5 6", "9" });
            logits[3 + history.Position] = 1e4f;
        }
    }
}
