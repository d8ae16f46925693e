using Tessera.Generation.Sampling;
using Tessera.Models;
using Tessera.Testing;

namespace Tessera.Generation.Tests;

public sealed class SamplingTests
{
    private const int Draws = 20_000;

    private readonly ReferenceTensors _reference = new(Fixture.Local("sampling/expected.safetensors"));

    [Theory]
    [InlineData("logits", 1, 0, 1)]
    [InlineData("temperature-0.7", 0.7, 0, 1)]
    [InlineData("top_k-5", 1, 5, 1)]
    [InlineData("top_p-0.8", 1, 0, 0.8)]
    public void Tokens_come_as_often_as_transformers_would_draw_them(string rule, float temperature, int topK, float topP)
    {
        var (logits, expected) = (_reference.Floats("logits"), _reference.Floats(rule));
        var (rows, vocabulary) = (_reference.Shape("logits")[0], _reference.Shape("logits")[1]);
        for (var row = 0; row < rows; row++)
        {
            var counts = Counts(logits.AsSpan(row * vocabulary, vocabulary), new SamplingOptions(temperature, topK, topP, Seed: 11), row);
            AssertDrawnFrom(Softmax(expected.AsSpan(row * vocabulary, vocabulary)), counts);
        }
    }

    [Fact]
    public void Top_p_takes_its_share_of_what_top_k_leaves()
    {
        // Of ½, ¼, ⅛, 1/16, 1/16 top-k leaves ⁴⁄₇, ²⁄₇, ¹⁄₇; two of them hold 0.85, while of all five it would take three.
        float[] logits = [.. new[] { 8f, 4, 2, 1, 1 }.Select(weight => MathF.Log(weight))];
        AssertDrawnFrom([2 / 3.0, 1 / 3.0, 0, 0, 0], Counts(logits, new SamplingOptions(1, 3, 0.85f), 0));
        AssertDrawnFrom([4 / 7.0, 2 / 7.0, 1 / 7.0, 0, 0], Counts(logits, new SamplingOptions(1, 0, 0.85f), 0));
    }

    [Theory]
    [InlineData(1e-3f)]
    [InlineData(1e-37f)]
    [InlineData(float.Epsilon)]
    public void The_colder_the_nearer_to_greedy(float temperature)
    {
        float[] logits = [1, -3, 2.5f, 60, 59, -80];
        Assert.Equal(Draws, Counts(logits, new SamplingOptions(temperature), 0)[3]);
        Assert.Equal(Draws, Counts(logits, new SamplingOptions(temperature, TopK: 2), 0)[3]);
    }

    [Fact]
    public void The_same_seed_gives_the_same_text_and_each_prompt_its_own()
    {
        var model = TinyModel.Build(readsSource: false, 300, seed: 4);
        // More prompts than are decoded at once, all the same.
        int[][] prompts = [.. Enumerable.Repeat(new[] { 1, 40, 50 }, 100)];
        var (first, again) = (Texts(7), Texts(7));
        Assert.Equal(first, again);
        Assert.Equal(100, first.Distinct().Count());
        Assert.NotEqual(first, Texts(8));

        string[] Texts(ulong seed) =>
            [.. Generator.Generate(model, prompts, new SamplingOptions(Seed: seed), 12).Select(found => string.Join(' ', found.Ids))];
    }

    [Fact]
    public void The_score_is_the_models_own_whatever_cut_the_choice()
    {
        var model = TinyModel.Build(readsSource: true, 12, seed: 5);
        var found = Generator.Generate(model, [[4, 5, 2]], new SamplingOptions(0.5f, TopK: 4, Seed: 3), 8)[0];
        int[] all = found.FinishReason == FinishReason.StopToken ? [.. found.Ids, SpecialTokens.End] : [.. found.Ids];
        Assert.Equal(TinyModel.Score(model, [4, 5, 2], all), found.Score, 1e-4);
    }

    private static int[] Counts(ReadOnlySpan<float> logits, SamplingOptions options, int sequence)
    {
        var (sampler, tokens) = (new MultinomialSampler(options), new int[Draws]);
        var counts = new int[logits.Length];
        for (var place = 0; place < Draws; place++)
            counts[sampler.Choose(logits, new TokenHistory(tokens.AsSpan(0, place), 0, sequence)).Token]++;
        return counts;
    }

    private static double[] Softmax(ReadOnlySpan<float> logits)
    {
        var weights = logits.ToArray().Select(logit => Math.Exp(logit)).ToArray();
        return [.. weights.Select(weight => weight / weights.Sum())];
    }

    /// <summary>Every count within five deviations; what cannot be drawn never was.</summary>
    private static void AssertDrawnFrom(double[] probabilities, int[] counts)
    {
        for (var token = 0; token < counts.Length; token++)
        {
            var (mean, deviation) = (Draws * probabilities[token], Math.Sqrt(Draws * probabilities[token] * (1 - probabilities[token])));
            if (probabilities[token] == 0) Assert.Equal(0, counts[token]);
            else Assert.InRange(counts[token], mean - (5 * deviation) - 1, mean + (5 * deviation) + 1);
        }
    }
}
