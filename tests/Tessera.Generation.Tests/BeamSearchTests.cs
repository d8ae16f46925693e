using Tessera.Models;

namespace Tessera.Generation.Tests;

public sealed class BeamSearchTests
{
    private static readonly int[] s_prompt = [1, 3, 0, 3];

    [Theory]
    [InlineData(true, 0)]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    [InlineData(false, 2.5)]
    public void Beams_for_every_sequence_find_the_best_of_all(bool readsSource, float penalty)
    {
        for (ulong seed = 1; seed <= 6; seed++)
        {
            // Three tokens and the end: 27 sequences of three are running at most, 121 there are in all.
            var model = TinyModel.Build(readsSource, vocabulary: 4, seed);
            var all = Sequences(4)
                .Select(ids => (Ids: ids, Score: TinyModel.Score(model, s_prompt, ids) / Math.Pow(ids.Length, penalty)))
                .ToList();
            Assert.Equal(121, all.Count);
            var best = all.MaxBy(sequence => sequence.Score);

            var found = Generator.Generate(model, [s_prompt], new BeamOptions(64, penalty), maxNewTokens: 4)[0];
            Assert.Equal(best.Score, found.Score, 1e-4);
            Assert.Equal(best.Ids, found.FinishReason == FinishReason.StopToken ? [.. found.Ids, SpecialTokens.End] : found.Ids);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_beam_is_greedy(bool earlyStopping)
    {
        for (ulong seed = 1; seed <= 5; seed++)
        {
            var model = TinyModel.Build(readsSource: true, vocabulary: 12, seed);
            var greedy = Generator.Generate(model, [[4, 2], [9, 9, 7, 2]], new GreedyOptions(), maxNewTokens: 10);
            var beam = Generator.Generate(
                model,
                [
                    [4, 2], [9, 9, 7, 2]],
                new BeamOptions(1, LengthPenalty: 1, earlyStopping),
                maxNewTokens: 10);
            foreach (var (one, other) in greedy.Zip(beam))
            {
                Assert.Equal(one.Ids, other.Ids);
                Assert.Equal(one.FinishReason, other.FinishReason);
                Assert.Equal(one.Score / (one.Ids.Count + (one.FinishReason == FinishReason.StopToken ? 1 : 0)), other.Score, 1e-6);
            }
        }
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(0, true)]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(2, false)]
    [InlineData(-1, true)]
    public void Beams_are_followed_finished_and_stopped_as_in_transformers(float penalty, bool earlyStopping)
    {
        var ended = 0;
        for (ulong seed = 1; seed <= 10; seed++)
        {
            var model = TinyModel.Build(readsSource: seed % 2 == 0, vocabulary: 6, seed);
            var options = new BeamOptions(Width: 2 + (int)(seed % 3), penalty, earlyStopping);
            var expected = TransformersBeamSearch.Best(model, s_prompt, options, maxNewTokens: 8);
            var found = Generator.Generate(model, [s_prompt], options, maxNewTokens: 8)[0];
            Assert.Equal(expected.Score, found.Score, 1e-4);
            Assert.Equal(expected.Ids, found.FinishReason == FinishReason.StopToken ? [.. found.Ids, SpecialTokens.End] : found.Ids);
            int[] all = [.. expected.Ids];
            Assert.Equal(TinyModel.Score(model, s_prompt, all) / Math.Pow(all.Length, penalty), found.Score, 1e-4);
            ended += found.FinishReason == FinishReason.StopToken ? 1 : 0;
        }

        Assert.InRange(ended, 1, 10);
    }

    /// <summary>All sequences that end, and those of the greatest length that do not.</summary>
    private static IEnumerable<int[]> Sequences(int length)
    {
        var running = new List<int[]> { Array.Empty<int>() };
        for (var i = 1; i <= length; i++)
        {
            foreach (var sequence in running) yield return [.. sequence, SpecialTokens.End];
            running = [.. running.SelectMany(sequence => new[] { 0, 1, 3 }.Select(token => (int[])[.. sequence, token]))];
        }

        foreach (var sequence in running) yield return sequence;
    }
}
