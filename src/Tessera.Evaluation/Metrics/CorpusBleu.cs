using System.Globalization;

namespace Tessera.Evaluation.Metrics;

/// <summary>What <see cref="CorpusBleu"/> found.</summary>
/// <param name="Score">BLEU, 0 to 100.</param>
/// <param name="Precisions">Smoothed n-gram precisions, 0 to 100, by n-gram length minus one.</param>
/// <param name="Counts">Matching n-grams; with <see cref="BleuSmoothing.AddK"/> the added k is in them.</param>
/// <param name="Totals">N-grams of the hypotheses; with <see cref="BleuSmoothing.AddK"/> the added k is in them.</param>
/// <param name="BrevityPenalty"><c>exp(1 − reference length / length)</c> where the hypotheses are shorter, else 1.</param>
/// <param name="Length">Tokens in the hypotheses.</param>
/// <param name="ReferenceLength">
/// Tokens in the references; of several, the one closest in length, of two equally close the shorter.
/// </param>
/// <param name="Signature">The settings, as sacrebleu writes them, for a reader who wants to compute the same number.</param>
public sealed record BleuScore(
    double Score,
    IReadOnlyList<double> Precisions,
    IReadOnlyList<double> Counts,
    IReadOnlyList<double> Totals,
    double BrevityPenalty,
    long Length,
    long ReferenceLength,
    string Signature);

/// <summary>
/// Corpus BLEU as sacrebleu 2.6 computes it: <c>100 · BP · exp(mean over n of ln pₙ)</c> with matches and totals summed over
/// the corpus before they are divided.
/// <para>
/// Papineni, Roukos, Ward, Zhu 2002, <see href="https://aclanthology.org/P02-1040"/>; Post 2018,
/// <see href="https://aclanthology.org/W18-6319"/>.
/// </para>
/// </summary>
public static class CorpusBleu
{
    // The version of sacrebleu whose numbers these are.
    private const string Version = "2.6.0";

    /// <summary>Scores hypotheses against one reference each.</summary>
    /// <inheritdoc cref="Score(IReadOnlyList{string}, IReadOnlyList{IReadOnlyList{string?}}, BleuOptions?)"/>
    public static BleuScore Score(
        IReadOnlyList<string> hypotheses, IReadOnlyList<string> references, BleuOptions? options = null) =>
        Score(hypotheses, [references], options);

    /// <summary>Scores hypotheses against one or more streams of references.</summary>
    /// <param name="hypotheses">The outputs to score, at least one.</param>
    /// <param name="references">
    /// The reference streams, at least one, each as long as <paramref name="hypotheses"/>. Null means that the stream has no
    /// reference there; each hypothesis needs one in some stream. An empty text is a reference without tokens.
    /// </param>
    /// <param name="options">How to compute; null is sacrebleu's defaults.</param>
    /// <exception cref="ArgumentException">
    /// There is nothing to score, lengths differ, a reference is missing, or an option is out of range.
    /// </exception>
    public static BleuScore Score(
        IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string?>> references, BleuOptions? options = null)
    {
        options ??= new BleuOptions();
        options.Check();
        Check(hypotheses, references);
        var ngrams = new NgramMatches(options.MaximumOrder);
        var referenceCounts = new HashSet<int>();
        long length = 0, referenceLength = 0;
        for (var i = 0; i < hypotheses.Count; i++)
        {
            var here = references.Select(stream => stream[i]).OfType<string>().ToList();
            if (here.Count == 0)
                throw new ArgumentException($"Hypothesis {i} has no reference: each stream has none there.", nameof(references));

            referenceCounts.Add(here.Count);
            var (tokens, closest) = Add(ngrams, hypotheses[i], here, options);
            (length, referenceLength) = (length + tokens, referenceLength + closest);
        }

        var signature = Signature(options, referenceCounts.Count == 1 ? $"{referenceCounts.Single()}" : "var");
        return Combine(ngrams.Matches, ngrams.Totals, length, referenceLength, signature, options);
    }

    /// <summary>The score in counts of each hypothesis that add up, with sacrebleu's defaults.</summary>
    /// <param name="hypotheses">The outputs to score.</param>
    /// <param name="references">A reference each.</param>
    public static AdditiveScore Additive(IReadOnlyList<string> hypotheses, IReadOnlyList<string> references)
    {
        Check(hypotheses, [references]);
        var options = new BleuOptions();
        var order = options.MaximumOrder;
        return new AdditiveScore(
            [.. hypotheses.Select((hypothesis, i) =>
            {
                var ngrams = new NgramMatches(order);
                var (tokens, closest) = Add(ngrams, hypothesis, [references[i]], options);
                return (double[])[tokens, closest, .. ngrams.Matches, .. ngrams.Totals];
            })],
            sums => Combine(
                Whole(sums[2..(2 + order)]), Whole(sums[(2 + order)..]), (long)sums[0], (long)sums[1], "", options).Score);

        static long[] Whole(double[] numbers) => [.. numbers.Select(number => (long)number)];
    }

    /// <summary>
    /// Scores one sentence, as sacrebleu's <c>sentence_score</c> does; set <see cref="BleuOptions.EffectiveOrder"/> unless
    /// short texts shall score 0.
    /// </summary>
    /// <param name="hypothesis">The output to score.</param>
    /// <param name="references">Its references, at least one.</param>
    /// <param name="options">How to compute; null is sacrebleu's defaults.</param>
    /// <exception cref="ArgumentException">There is no reference, or an option is out of range.</exception>
    public static BleuScore ScoreSentence(string hypothesis, IReadOnlyList<string> references, BleuOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(references);
        return Score([hypothesis], [.. references.Select(reference => new[] { reference })], options);
    }

    private static string[] Tokens(string text, BleuOptions options) =>
        options.Tokenizer.Tokenize(options.LowerCase ? text.ToLowerInvariant() : text);

    /// <summary>Adds a hypothesis and says how many tokens it has, and how many the reference that is closest to it in length.</summary>
    private static (int Length, int ReferenceLength) Add(
        NgramMatches ngrams, string hypothesis, IReadOnlyList<string> references, BleuOptions options)
    {
        var tokens = Tokens(hypothesis, options);
        string[][] tokenized = [.. references.Select(text => Tokens(text, options))];
        ngrams.Add(tokens, tokenized);
        return (tokens.Length, tokenized.Select(text => text.Length).MinBy(length => (Math.Abs(length - tokens.Length), length)));
    }

    private static BleuScore Combine(
        long[] matches, long[] hypothesisTotals, long length, long referenceLength, string signature, BleuOptions options)
    {
        double[] counts = [.. matches], totals = [.. hypothesisTotals];
        var precisions = new double[counts.Length];
        var penalty = length >= referenceLength ? 1 : length > 0 ? Math.Exp(1 - (double)referenceLength / length) : 0;
        var score = 0.0;
        if (matches[0] > 0)
        {
            var orders = Smooth(counts, totals, precisions, options);
            var used = precisions[..(options.EffectiveOrder ? orders : precisions.Length)];
            score = penalty * Math.Exp(used.Sum(Math.Log) / used.Length);
        }

        return new BleuScore(score, precisions, counts, totals, penalty, length, referenceLength, signature);
    }

    /// <summary>Fills in the precisions, adds k where that is the method, and says how many orders the hypotheses have.</summary>
    private static int Smooth(double[] counts, double[] totals, double[] precisions, BleuOptions options)
    {
        var value = options.EffectiveSmoothingValue;
        var halving = 1.0;
        for (var order = 0; order < counts.Length; order++)
        {
            if (options.Smoothing == BleuSmoothing.AddK && order > 0)
            {
                counts[order] += value;
                totals[order] += value;
            }

            if (totals[order] == 0) return order;
            precisions[order] = 100 / totals[order] * (counts[order], options.Smoothing) switch
            {
                (0, BleuSmoothing.Exponential) => 1 / (halving *= 2),
                (0, BleuSmoothing.Floor) => value,
                _ => counts[order],
            };
        }

        return counts.Length;
    }

    private static string Signature(BleuOptions options, string references)
    {
        var smoothing = options.Smoothing switch
        {
            BleuSmoothing.Exponential => "exp",
            BleuSmoothing.None => "none",
            BleuSmoothing.Floor => string.Create(CultureInfo.InvariantCulture, $"floor[{options.EffectiveSmoothingValue:F2}]"),
            _ => string.Create(CultureInfo.InvariantCulture, $"add-k[{options.EffectiveSmoothingValue:F2}]"),
        };
        var lower = options.LowerCase ? "lc" : "mixed";
        var effective = options.EffectiveOrder ? "yes" : "no";
        return $"nrefs:{references}|case:{lower}|eff:{effective}|tok:{options.Tokenizer}|smooth:{smoothing}|version:{Version}";
    }

    private static void Check(IReadOnlyList<string> hypotheses, IReadOnlyList<IReadOnlyList<string?>> references)
    {
        ArgumentNullException.ThrowIfNull(hypotheses);
        ArgumentNullException.ThrowIfNull(references);
        if (hypotheses.Count == 0) throw new ArgumentException("There is no hypothesis to score.", nameof(hypotheses));
        if (references.Count == 0) throw new ArgumentException("There is no reference stream to score against.", nameof(references));
        for (var stream = 0; stream < references.Count; stream++)
        {
            if (references[stream].Count != hypotheses.Count)
                throw new ArgumentException(
                    $"Reference stream {stream} has {references[stream].Count} texts for {hypotheses.Count} hypotheses.",
                    nameof(references));
        }
    }
}
