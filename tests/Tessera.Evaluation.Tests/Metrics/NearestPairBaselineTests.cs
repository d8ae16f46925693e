using System.Diagnostics;
using Tessera.Evaluation.Metrics;

namespace Tessera.Evaluation.Tests.Metrics;

public sealed class NearestPairBaselineTests(Xunit.Abstractions.ITestOutputHelper output)
{
    [Fact]
    public void A_source_seen_in_training_is_answered_with_its_target()
    {
        var random = new Random(1);
        List<(string, string)> train = [.. Enumerable.Range(0, 300).Select(i => ($"{Sentence(random, 8)} number{i}", $"target {i}"))];
        var baseline = new NearestPairBaseline(train);
        Assert.All(train, pair => Assert.Equal(pair.Item2, baseline.Predict(pair.Item1.ToUpperInvariant() + " !")));
    }

    [Fact]
    public void Rare_words_weigh_more_than_common_ones()
    {
        var baseline = new NearestPairBaseline([("the value", "common"), ("the determinant", "rare"), ("a value", ""), ("its value", "")]);
        Assert.Equal("rare", baseline.Predict("value determinant"));
    }

    [Fact]
    public void Of_equally_like_pairs_the_first_in_training_order_answers()
    {
        var baseline = new NearestPairBaseline([("x y", "zero"), ("b a", "first"), ("a b", "second"), ("A, b.", "third")]);
        Assert.Equal("first", baseline.Predict("a b"));
        Assert.Equal("zero", baseline.Predict("nothing shared"));
        Assert.Equal("zero", baseline.Predict(""));
    }

    [Fact]
    public void The_index_finds_what_comparing_with_every_pair_finds()
    {
        var random = new Random(2);
        string[] sources = [.. Enumerable.Range(0, 200).Select(_ => Sentence(random, random.Next(1, 12)))];
        var bags = Array.ConvertAll(sources, Bag);
        var baseline = new NearestPairBaseline([.. sources.Select(source => (source, ""))]);
        for (var i = 0; i < 60; i++)
        {
            var query = Sentence(random, random.Next(1, 12)) + (i % 3 == 0 ? " unheard" : "");
            double[] likeness = [.. bags.Select(bag => Likeness(Bag(query), bag, bags))];
            Assert.Equal(likeness.Max(), likeness[baseline.Nearest(query)], 1e-12);
        }
    }

    [Fact]
    public void Two_thousand_sources_against_thirty_thousand_pairs_take_seconds()
    {
        var random = new Random(3);
        List<(string, string)> train = [.. Enumerable.Range(0, 30_000).Select(i => (Sentence(random, 20), $"{i}"))];
        string[] test = [.. Enumerable.Range(0, 2_000).Select(_ => Sentence(random, 20))];
        var watch = Stopwatch.StartNew();
        var baseline = new NearestPairBaseline(train);
        foreach (var source in test) baseline.Predict(source);
        output.WriteLine($"{watch.Elapsed.TotalSeconds:F2} s");
        Assert.True(watch.Elapsed.TotalSeconds < 20, $"took {watch.Elapsed}");
    }

    [Fact]
    public void Without_training_pairs_there_is_no_baseline() => Assert.Throws<ArgumentException>(() => new NearestPairBaseline([]));

    // Words as in a language: the k-th word of two thousand about as frequent as 1/k.
    private static string Sentence(Random random, int words) =>
        string.Join(' ', Enumerable.Range(0, words).Select(_ => $"w{(int)Math.Pow(2_000, random.NextDouble())}"));

    private static double Likeness(Dictionary<string, int> a, Dictionary<string, int> b, Dictionary<string, int>[] all)
    {
        double Weight(string word) => 1 + Math.Log((all.Length + 1.0) / (all.Count(bag => bag.ContainsKey(word)) + 1));
        var shared = a.Keys.Intersect(b.Keys).Sum(word => Weight(word) * Math.Min(a[word], b[word]));
        return 2 * shared / (a.Sum(word => Weight(word.Key) * word.Value) + b.Sum(word => Weight(word.Key) * word.Value));
    }

    private static Dictionary<string, int> Bag(string text) => text.Split(' ').CountBy(word => word).ToDictionary();
}
