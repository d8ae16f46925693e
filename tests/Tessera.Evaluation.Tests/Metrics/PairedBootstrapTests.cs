using Tessera.Evaluation.Metrics;

namespace Tessera.Evaluation.Tests.Metrics;

public sealed class PairedBootstrapTests
{
    [Fact]
    public void The_p_of_BLEU_is_that_of_sacrebleu_but_for_chance()
    {
        var recorded = ReferenceSets.Read("bleu_references.json").GetProperty("paired_bootstrap");
        var (hypotheses, references) = ReferenceSets.Texts(ReferenceSets.Read("sets.json"), recorded.GetProperty("set").GetString()!);
        var other = ReferenceSets.Strings(recorded.GetProperty("other"));
        var (first, second) = (CorpusBleu.Additive(hypotheses, references[0]), CorpusBleu.Additive(other, references[0]));
        var found = PairedBootstrap.Compare(first, second, samples: 10_000);
        Assert.Equal(ReferenceSets.Numbers(recorded.GetProperty("scores")), [found.First, found.Second], (left, right) =>
            Math.Abs(left - right) < 1e-9);
        // Two estimates of a share by 10,000 draws each: six standard deviations of their difference.
        var expected = recorded.GetProperty("p_value").GetDouble();
        Assert.Equal(expected, found.PValue, 6 * Math.Sqrt(2 * expected * (1 - expected) / 10_000));
        Assert.Equal(found.Second - found.First, found.Difference);
    }

    [Fact]
    public void BLEU_from_counts_of_single_texts_is_that_of_the_corpus()
    {
        var (hypotheses, references) = ReferenceSets.Texts(ReferenceSets.Read("sets.json"), "code");
        Assert.Equal(CorpusBleu.Score(hypotheses, references[0]).Score, CorpusBleu.Additive(hypotheses, references[0]).Value, 1e-9);
    }

    [Fact]
    public void A_system_beside_itself_has_no_difference_and_one_that_is_always_better_has_a_small_p()
    {
        var worse = AdditiveScore.Ratio(Enumerable.Range(0, 40).Select(i => (i % 4 == 0 ? 1.0 : 0, 1.0)), scale: 100);
        var better = AdditiveScore.Ratio(Enumerable.Range(0, 40).Select(i => (i % 4 == 0 ? 0.0 : 1, 1.0)), scale: 100);
        Assert.Equal((25, 75), (worse.Value, better.Value));
        Assert.InRange(PairedBootstrap.Compare(worse, better).PValue, 1 / 1001.0, 0.01);
        Assert.Equal(PairedBootstrap.Compare(worse, better), PairedBootstrap.Compare(worse, better));
        var same = PairedBootstrap.Compare(worse, worse);
        Assert.Equal((0, 1), (same.Difference, same.PValue));
    }

    [Fact]
    public void Systems_of_other_examples_are_refused()
    {
        var one = AdditiveScore.Ratio([(1, 1)]);
        Assert.Throws<ArgumentException>(() => PairedBootstrap.Compare(one, AdditiveScore.Ratio([(1, 1), (0, 1)])));
        Assert.Throws<ArgumentException>(() => PairedBootstrap.Compare(AdditiveScore.Ratio([]), AdditiveScore.Ratio([])));
        Assert.Throws<ArgumentOutOfRangeException>(() => PairedBootstrap.Compare(one, one, samples: 0));
        Assert.True(double.IsNaN(AdditiveScore.Ratio([]).Value));
    }
}
