using Tessera.Models;
using Tessera.Nn.Positions;

namespace Tessera.Generation.Tests;

public sealed class GreedyTests
{
    private static readonly int[][] s_prompts = [[5, 4, 9, 2], [1, 7], [1, 3, 3, 8, 10, 6, 4, 11, 5, 2], [11]];

    [Theory]
    [InlineData(true, 300)]
    [InlineData(false, 300)]
    [InlineData(true, 12)]
    [InlineData(false, 12)]
    public void Every_token_is_the_likeliest_after_all_before_it(bool readsSource, int vocabulary)
    {
        var ended = 0;
        for (ulong seed = 1; seed <= 8; seed++)
        {
            var model = TinyModel.Build(readsSource, vocabulary, seed);
            var found = Generator.Generate(model, s_prompts, new GreedyOptions(), maxNewTokens: 12);
            for (var i = 0; i < s_prompts.Length; i++)
            {
                var (ids, score, reason) = found[i];
                var isEnded = reason == FinishReason.StopToken;
                int[] all = isEnded ? [.. ids, SpecialTokens.End] : [.. ids];
                Assert.Equal(isEnded ? all.Length : 12, all.Length);
                Assert.InRange(all.Length, 1, 12);
                for (var place = 0; place < all.Length; place++)
                {
                    var next = TinyModel.LogProbabilities(model, s_prompts[i], all.Take(place));
                    // Of two tokens as likely as each other rounding decides.
                    Assert.InRange(next[all[place]], next.Max() - 1e-5, next.Max());
                }

                Assert.Equal(TinyModel.Score(model, s_prompts[i], all), score, 1e-4 * all.Length);
                ended += isEnded ? 1 : 0;
            }
        }

        if (vocabulary == 12) Assert.InRange(ended, 1, 31);
    }

    /// <summary>What is remembered of a sequence is of no use once its positions are marked otherwise.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Where_positions_depend_on_the_length_every_token_is_the_likeliest_too(bool isDynamic)
    {
        RotaryScaling scaling = isDynamic
            ? new DynamicScaling(4, TrainedLength: 4)
            : new LongScaling(4, [1, 1, 1, 1], [9, 7, 5, 3]) { Factor = 4 };
        for (ulong seed = 1; seed <= 8; seed++)
        {
            var model = TinyModel.Stretched(scaling, seed);
            foreach (var prompt in new int[][] { [5, 9], [1, 7, 3, 4, 5] })
            {
                var ids = Generator.Generate(model, [prompt], new GreedyOptions(), maxNewTokens: 6, stopTokens: [])[0].Ids;
                for (var place = 0; place < 6; place++)
                {
                    var next = TinyModel.LogProbabilities(model, prompt, ids.Take(place));
                    Assert.InRange(next[ids[place]], next.Max() - 1e-5, next.Max());
                }

                var beams = new BeamOptions(Width: 3);
                var expected = TransformersBeamSearch.Best(model, prompt, beams, maxNewTokens: 6);
                var found = Generator.Generate(model, [prompt], beams, maxNewTokens: 6)[0];
                Assert.Equal(expected.Ids, found.FinishReason == FinishReason.StopToken ? [.. found.Ids, SpecialTokens.End] : found.Ids);
                Assert.Equal(expected.Score, found.Score, 1e-4);
            }
        }
    }

    [Fact]
    public void Any_tokens_may_be_the_end()
    {
        var model = TinyModel.Build(readsSource: false, vocabulary: 12, seed: 2);
        var free = Generator.Generate(model, [[5, 4, 9]], new GreedyOptions(), maxNewTokens: 12, stopTokens: [])[0];
        Assert.Equal((12, FinishReason.Length), (free.Ids.Count, free.FinishReason));
        int[] ends = [free.Ids[4], free.Ids[7]];
        var stopped = Generator.Generate(model, [[5, 4, 9]], new GreedyOptions(), maxNewTokens: 12, ends)[0];
        Assert.Equal(FinishReason.StopToken, stopped.FinishReason);
        Assert.Equal(free.Ids.TakeWhile(id => !ends.Contains(id)), stopped.Ids);
        Assert.Equal(stopped.Ids, Generator.Stream(model, [5, 4, 9], new GreedyOptions(), 12, ends));
        Assert.Equal(stopped.Ids, Generator.Generate(model, [[5, 4, 9]], new BeamOptions(1), maxNewTokens: 12, ends)[0].Ids);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Prompts_together_give_what_each_gives_alone(bool readsSource)
    {
        var model = TinyModel.Build(readsSource, 12, seed: 3);
        foreach (DecodingOptions options in new DecodingOptions[] { new GreedyOptions(), new BeamOptions(3) })
        {
            // More than are decoded at once.
            int[][] prompts = [.. Enumerable.Range(0, 70).Select(i => s_prompts[i % s_prompts.Length])];
            var together = Generator.Generate(model, prompts, options, maxNewTokens: 9);
            for (var i = 0; i < s_prompts.Length; i++)
            {
                var alone = Generator.Generate(model, [s_prompts[i]], options, maxNewTokens: 9)[0];
                for (var j = i; j < prompts.Length; j += s_prompts.Length)
                {
                    Assert.Equal(alone.Ids, together[j].Ids);
                    Assert.Equal(alone.Score, together[j].Score, 1e-4);
                    Assert.Equal(alone.FinishReason, together[j].FinishReason);
                }
            }
        }
    }

    [Fact]
    public void A_stream_is_what_is_generated_at_once()
    {
        var model = TinyModel.Build(readsSource: true, 300, seed: 2);
        foreach (DecodingOptions options in new DecodingOptions[] { new GreedyOptions(), new SamplingOptions(0.9f, 40, 0.95f, Seed: 5) })
            Assert.Equal(Generator.Generate(model, [[5, 6, 2]], options, 15)[0].Ids, Generator.Stream(model, [5, 6, 2], options, 15));
    }

    [Fact]
    public void Bad_requests_are_told()
    {
        var model = TinyModel.Build(readsSource: false, 12, seed: 1);
        Assert.StartsWith(
            "a prompt has no tokens",
            Assert
                .Throws<ArgumentException>(() =>
                    Generator.Generate(
                        model,
                        [
                            [1], []],
                        new GreedyOptions(),
                        3)
                )
                .Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => Generator.Generate(model, [[1]], new GreedyOptions(), 0));
        Assert.StartsWith(
            "beam search cannot be streamed",
            Assert.Throws<ArgumentException>(() => Generator.Stream(model, [1], new BeamOptions(), 3)).Message, StringComparison.Ordinal);
        foreach (DecodingOptions wrong in new DecodingOptions[]
            {
                new SamplingOptions(0),
                new SamplingOptions(float.NaN),
                new SamplingOptions(TopK: -1),
                new SamplingOptions(TopP: 0),
                new SamplingOptions(TopP: 1.1f),
            new BeamOptions(0), new BeamOptions(65), new BeamOptions(2, float.PositiveInfinity),
            new GreedyOptions { MaxNewTokens = 0 }, new GreedyOptions { MaxNewTokens = (1 << 20) + 1 },
            new GreedyOptions { MinNewTokens = -1 }, new GreedyOptions { MaxNewTokens = 4, MinNewTokens = 5 },
            })
            Assert.Contains(
                "; allowed: ",
                Assert
                    .Throws<ArgumentException>(() =>
                        Generator.Generate(
                            model,
                            [
                                [1]],
                            wrong,
                            3)
                    )
                    .Message,
                StringComparison.Ordinal);
    }

    [Fact]
    public void A_cancelled_generation_stops()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        var model = TinyModel.Build(readsSource: false, 12, seed: 1);
        foreach (DecodingOptions options in new DecodingOptions[] { new GreedyOptions(), new BeamOptions(2) })
            Assert.Throws<OperationCanceledException>(() => Generator.Generate(model, [[1]], options, 3, cancellation: cancelled.Token));
    }
}
