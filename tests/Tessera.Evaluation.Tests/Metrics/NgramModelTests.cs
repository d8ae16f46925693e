using Tessera.Evaluation.Metrics;

namespace Tessera.Evaluation.Tests.Metrics;

public sealed class NgramModelTests
{
    [Fact]
    public void Probabilities_are_those_of_Witten_and_Bell_computed_by_hand()
    {
        // The text 0 1 0 1 2 of a vocabulary of four, each token after all before it.
        var model = new NgramModel(2, 4);
        int[] text = [0, 1, 0, 1, 2];
        for (var i = 0; i < text.Length; i++) model.Add(text.AsSpan(0, i), text[i]);

        // Single tokens: 5 of them, 3 different; p(w) = (c(w) + 3 · 1/4) / 8.
        double zero = 2.75 / 8, one = 2.75 / 8, two = 1.75 / 8, three = 0.75 / 8;
        Assert.Equal([zero, one, two, three], Of(model, []), Close);

        // After 0 came 1 twice: p(w | 0) = (c + 1 · p(w)) / 3.
        Assert.Equal([zero / 3, (2 + one) / 3, two / 3, three / 3], Of(model, [0]), Close);

        // After 1 came 0 and 2 once each: p(w | 1) = (c + 2 · p(w)) / 4. All but the nearest token are left out.
        double[] afterOne = [(1 + (2 * zero)) / 4, 2 * one / 4, (1 + (2 * two)) / 4, 2 * three / 4];
        Assert.Equal(afterOne, Of(model, [1]), Close);
        Assert.Equal(afterOne, Of(model, [3, 3, 1]), Close);

        // Nothing ever followed 3.
        Assert.Equal([zero, one, two, three], Of(model, [3]), Close);
    }

    [Fact]
    public void Trigrams_go_back_to_bigrams()
    {
        var model = new NgramModel(3, 3);
        model.Add([0, 1], 2);
        double[] single = [1.0 / 6, 1.0 / 6, (1 + 1.0 / 3) / 2];
        double[] pair = [single[0] / 2, single[1] / 2, (1 + single[2]) / 2];
        Assert.Equal([pair[0] / 2, pair[1] / 2, (1 + pair[2]) / 2], Of(model, [0, 1]), Close);
        Assert.Equal(pair, Of(model, [2, 1]), Close);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Probabilities_of_all_tokens_add_up_to_1(int order)
    {
        var (model, random) = (new NgramModel(order, 7), new Random(5));
        var text = Enumerable.Range(0, 300).Select(_ => random.Next(6)).ToArray();
        for (var i = 0; i < text.Length; i++) model.Add(text.AsSpan(0, i), text[i]);
        foreach (var context in (int[][])[[], [1], [2, 3], [6, 0], [4, 4, 4]]) Assert.Equal(1, Of(model, context).Sum(), 1e-12);
    }

    [Fact]
    public void Sizes_out_of_range_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new NgramModel(0, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NgramModel(17, 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NgramModel(2, 0));
    }

    private static double[] Of(NgramModel model, int[] context) =>
        [.. Enumerable.Range(0, model.Vocabulary).Select(token => model.Probability(context, token))];

    private static bool Close(double left, double right) => Math.Abs(left - right) < 1e-14;
}
