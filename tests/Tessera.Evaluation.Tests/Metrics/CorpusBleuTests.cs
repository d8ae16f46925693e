using System.Text.Json;
using Tessera.Evaluation.Metrics;

namespace Tessera.Evaluation.Tests.Metrics;

public sealed class CorpusBleuTests(Xunit.Abstractions.ITestOutputHelper output)
{
    private const double Tolerance = 1e-9;

    [Fact]
    public void Every_number_that_sacrebleu_recorded_is_met()
    {
        var sets = ReferenceSets.Read("sets.json");
        var rows = ReferenceSets.Read("bleu.json").GetProperty("rows").EnumerateArray().ToList();
        double largest = 0, largestOfSentences = 0;
        var numbers = 0;
        foreach (var row in rows)
        {
            var set = row.GetProperty("set").GetString()!;
            var options = Options(row.GetProperty("options"));
            var (hypotheses, references) = ReferenceSets.Texts(sets, set);
            var score = CorpusBleu.Score(hypotheses, references, options);

            Same(row.GetProperty("score").GetDouble(), score.Score, row);
            Same(row.GetProperty("bp").GetDouble(), score.BrevityPenalty, row);
            Same(row.GetProperty("length").GetDouble(), score.Length, row);
            Same(row.GetProperty("reference_length").GetDouble(), score.ReferenceLength, row);
            AllSame(row.GetProperty("precisions"), score.Precisions, row);
            AllSame(row.GetProperty("counts"), score.Counts, row);
            AllSame(row.GetProperty("totals"), score.Totals, row);
            Assert.Equal(row.GetProperty("signature").GetString(), score.Signature);
            if (row.TryGetProperty("sentences", out var sentences))
            {
                // They were rounded to ten decimals when they were recorded.
                var ofCorpora = largest;
                AllSame(sentences, [.. hypotheses.Select((hypothesis, i) =>
                    CorpusBleu.ScoreSentence(hypothesis, [.. references.Select(stream => stream[i])], options).Score)], row);
                (largest, largestOfSentences) = (ofCorpora, Math.Max(largestOfSentences, largest));
            }
        }

        Assert.Equal(342, rows.Count);
        output.WriteLine($"{rows.Count} rows, {numbers} numbers, largest error {largest:E2}, of sentences {largestOfSentences:E2}");

        void AllSame(JsonElement expected, IReadOnlyList<double> found, JsonElement row)
        {
            var all = ReferenceSets.Numbers(expected);
            Assert.Equal(all.Length, found.Count);
            for (var i = 0; i < all.Length; i++) Same(all[i], found[i], row);
        }

        void Same(double expected, double found, JsonElement row)
        {
            numbers++;
            largest = Math.Max(largest, Math.Abs(expected - found));
            Assert.True(Math.Abs(expected - found) <= Tolerance,
                $"{row.GetProperty("set")} with {row.GetProperty("options")}: expected {expected:R}, found {found:R}");
        }
    }

    [Fact]
    public void Every_tokenizer_cuts_every_recorded_text_as_sacrebleu_does()
    {
        var rows = ReferenceSets.Read("bleu_tokens.json").GetProperty("rows").EnumerateArray().ToList();
        foreach (var row in rows)
        {
            foreach (var name in new[] { "13a", "intl", "char", "zh" })
            {
                var expected = row.GetProperty(name).GetString()!.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
                Assert.Equal(expected, BleuTokenizer.Named(name).Tokenize(row.GetProperty("text").GetString()!));
            }
        }

        Assert.Equal(123, rows.Count);
    }

    [Theory]
    [InlineData("zh", "a\u2001b\u2764c", new[] { "a", "b", "\u2764", "c" })] // Inside the range that sacrebleu's list amounts to.
    [InlineData("zh", "\U00020000\U00020001", new[] { "\U00020000\U00020001" })] // Ideographs beyond U+FFFF are outside it.
    [InlineData("char", "a\U0001F600 b", new[] { "a", "\U0001F600", "b" })]
    [InlineData("intl", "1\U0001D7D8.5 x\U0001F600y", new[] { "1\U0001D7D8.5", "x", "\U0001F600", "y" })]
    [InlineData("13a", "&lt;a&gt;&amp;quot; b", new[] { "<", "a", ">", "&", "quot", ";", "b" })]
    [InlineData("none", "a\u001Cb\u0085c\u00A0d", new[] { "a", "b", "c", "d" })] // Blanks of Python.
    public void Tokenizers_treat_unusual_characters_as_Python_does(string tokenizer, string text, string[] tokens) =>
        Assert.Equal(tokens, BleuTokenizer.Named(tokenizer).Tokenize(text));

    [Fact]
    public void A_hypothesis_equal_to_any_of_its_references_scores_100()
    {
        string[] hypotheses = ["one two three four five", "six seven eight nine ten"];
        var score = CorpusBleu.Score(hypotheses, [["a b c d", hypotheses[1]], [hypotheses[0], "x y z w"]]);
        Assert.Equal(100, score.Score, Tolerance);
        Assert.StartsWith("nrefs:2|", score.Signature, StringComparison.Ordinal);
    }

    [Fact]
    public void Empty_references_count_and_absent_ones_do_not_as_sacrebleu_recorded()
    {
        var rows = ReferenceSets.Read("bleu_references.json").GetProperty("rows").EnumerateArray().ToList();
        foreach (var row in rows)
        {
            var hypotheses = ReferenceSets.Strings(row.GetProperty("hypotheses"));
            string?[][] references = [.. row.GetProperty("references").EnumerateArray().Select(stream =>
                stream.EnumerateArray().Select(text => text.GetString()).ToArray())];
            var options = new BleuOptions { EffectiveOrder = row.GetProperty("effective_order").GetBoolean() };
            var score = CorpusBleu.Score(hypotheses, references, options);
            Assert.Equal(row.GetProperty("score").GetDouble(), score.Score, Tolerance);
            Assert.Equal(row.GetProperty("bp").GetDouble(), score.BrevityPenalty, Tolerance);
            Assert.Equal(ReferenceSets.Numbers(row.GetProperty("counts")), score.Counts);
            Assert.Equal(ReferenceSets.Numbers(row.GetProperty("totals")), score.Totals);
            Assert.Equal(row.GetProperty("length").GetInt64(), score.Length);
            Assert.Equal(row.GetProperty("reference_length").GetInt64(), score.ReferenceLength);
            Assert.Equal(row.GetProperty("signature").GetString(), score.Signature);
        }

        Assert.Equal(16, rows.Count);
    }

    [Fact]
    public void Bad_arguments_are_named()
    {
        Assert.Contains("no hypothesis", Assert.Throws<ArgumentException>(() => CorpusBleu.Score([], [[]])).Message, StringComparison.Ordinal);
        Assert.Contains("no reference stream", Assert.Throws<ArgumentException>(
            () => CorpusBleu.Score(["a"], Array.Empty<string[]>())).Message, StringComparison.Ordinal);
        Assert.Contains("stream 1 has 0 texts for 1", Assert.Throws<ArgumentException>(
            () => CorpusBleu.Score(["a"], [["a"], []])).Message, StringComparison.Ordinal);
        Assert.Contains("Hypothesis 1 has no reference", Assert.Throws<ArgumentException>(
            () => CorpusBleu.Score(["a", "b"], [(string?[])["a", null]])).Message, StringComparison.Ordinal);
        Assert.Contains("'mecab'", Assert.Throws<ArgumentException>(() => BleuTokenizer.Named("mecab")).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => CorpusBleu.Score(["a"], ["a"], new BleuOptions { MaximumOrder = 0 }));
        Assert.Throws<ArgumentException>(() => CorpusBleu.Score(["a"], ["a"], new BleuOptions { SmoothingValue = 1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => CorpusBleu.Score(
            ["a"], ["a"], new BleuOptions { Smoothing = BleuSmoothing.Floor, SmoothingValue = 0 }));
    }

    private static BleuOptions Options(JsonElement options) => new()
    {
        Tokenizer = BleuTokenizer.Named(options.GetProperty("tokenize").GetString()!),
        Smoothing = !options.TryGetProperty("smooth_method", out var method) ? BleuSmoothing.Exponential : method.GetString() switch
        {
            "none" => BleuSmoothing.None,
            "floor" => BleuSmoothing.Floor,
            "add-k" => BleuSmoothing.AddK,
            var other => throw new InvalidDataException($"smoothing {other}"),
        },
        SmoothingValue = options.TryGetProperty("smooth_value", out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null,
        LowerCase = options.TryGetProperty("lowercase", out var lower) && lower.GetBoolean(),
        EffectiveOrder = options.TryGetProperty("effective_order", out var effective) && effective.GetBoolean(),
        MaximumOrder = options.TryGetProperty("max_ngram_order", out var order) ? order.GetInt32() : 4,
    };
}
