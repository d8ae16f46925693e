using System.Text.Json;
using Tessera.Evaluation.Metrics;

namespace Tessera.Evaluation.Tests.Metrics;

public sealed class CodeXGlueTests(Xunit.Abstractions.ITestOutputHelper output)
{
    // The tool and this code sum the same logarithms in the same order; what differs is the last bit of exp and log.
    private const double Tolerance = 1e-14;

    private double _largest;

    private static IEnumerable<(JsonElement Row, string[] Outputs, string[] References)> Rows()
    {
        var sets = ReferenceSets.Read("sets.json");
        foreach (var row in ReferenceSets.Read("code.json").GetProperty("rows").EnumerateArray())
        {
            if (row.TryGetProperty("hypotheses", out var hypotheses))
                yield return (row, ReferenceSets.Strings(hypotheses), ReferenceSets.Strings(row.GetProperty("references")));
            else
                yield return ReferenceSets.Texts(sets, row.GetProperty("set").GetString()!) is var (h, r) ? (row, h, r[0]) : default;
        }
    }

    [Fact]
    public void Corpus_scores_and_their_parts_are_the_evaluators()
    {
        foreach (var (row, outputs, references) in Rows())
        {
            var smooth = CodeXGlueBleu.Score(outputs, references);
            Assert.Equal(row.GetProperty("_bleu").GetDouble(), smooth.Rounded);
            Same(row.GetProperty("smooth"), smooth);
            Same(row.GetProperty("plain"), CodeXGlueBleu.Score(outputs, references, smooth: false));
        }

        output.WriteLine($"largest error {_largest:E2}");
    }

    [Fact]
    public void Sentence_scores_are_the_evaluators_and_0_where_it_divides_by_zero()
    {
        var count = 0;
        foreach (var (row, outputs, references) in Rows())
        {
            var expected = row.GetProperty("sentences").EnumerateArray().ToList();
            for (var i = 0; i < outputs.Length; i++, count++)
            {
                var score = CodeXGlueBleu.Score([outputs[i]], [references[i]]).Score;
                if (expected[i].ValueKind == JsonValueKind.Null) Assert.Equal(0, score);
                else Assert.Equal(expected[i].GetDouble(), score, 1e-12); // Recorded to twelve decimals.
            }
        }

        Assert.Equal(206, count);
    }

    [Fact]
    public void Exact_match_is_the_evaluators()
    {
        foreach (var (row, outputs, references) in Rows())
        {
            var match = ExactMatch.Measure(outputs, references);
            Assert.Equal(row.GetProperty("exact_matches").GetInt32(), match.Matches);
            Assert.Equal(row.GetProperty("exact_match").GetDouble(), 100 * match.Share, 1e-12);
        }
    }

    [Fact]
    public void Without_smoothing_an_order_without_a_match_makes_the_score_0()
    {
        var score = CodeXGlueBleu.Score(["a b c x"], ["a b c d"], smooth: false);
        Assert.Equal(0, score.Score);
        Assert.Equal([0.75, 2 / 3.0, 0.5, 0], score.Precisions);
    }

    [Fact]
    public void Bad_arguments_are_named()
    {
        Assert.Contains("no output", Assert.Throws<ArgumentException>(() => CodeXGlueBleu.Score([], [])).Message, StringComparison.Ordinal);
        Assert.Contains("2 references for 1 outputs", Assert.Throws<ArgumentException>(
            () => ExactMatch.Measure(["a"], ["a", "b"])).Message, StringComparison.Ordinal);
    }

    private void Same(JsonElement expected, CodeXGlueBleuScore found)
    {
        Near(expected.GetProperty("bleu").GetDouble(), found.Score);
        Near(expected.GetProperty("bp").GetDouble(), found.BrevityPenalty);
        Near(expected.GetProperty("ratio").GetDouble(), found.Ratio);
        Assert.Equal(expected.GetProperty("length").GetInt64(), found.Length);
        Assert.Equal(expected.GetProperty("reference_length").GetInt64(), found.ReferenceLength);
        foreach (var (a, b) in ReferenceSets.Numbers(expected.GetProperty("precisions")).Zip(found.Precisions)) Near(a, b);
    }

    private void Near(double expected, double found)
    {
        _largest = Math.Max(_largest, Math.Abs(expected - found));
        Assert.Equal(expected, found, Tolerance);
    }
}
