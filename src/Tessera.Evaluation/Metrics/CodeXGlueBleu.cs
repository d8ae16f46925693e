namespace Tessera.Evaluation.Metrics;

/// <summary>What <see cref="CodeXGlueBleu"/> found.</summary>
/// <param name="Score">BLEU, 0 to 1.</param>
/// <param name="Precisions">N-gram precisions of orders 1 to 4, 0 to 1, smoothed where that was asked.</param>
/// <param name="BrevityPenalty"><c>exp(1 − 1 / ratio)</c> where <paramref name="Ratio"/> is at most 1, else 1.</param>
/// <param name="Ratio">Length over reference length.</param>
/// <param name="Length">Tokens in the outputs.</param>
/// <param name="ReferenceLength">Tokens in the references; of several, the shortest.</param>
public sealed record CodeXGlueBleuScore(
    double Score, IReadOnlyList<double> Precisions, double BrevityPenalty, double Ratio, long Length, long ReferenceLength)
{
    /// <summary>The score as papers print it: times 100, to two decimals.</summary>
    public double Rounded => Math.Round(100 * Score, 2);
}

/// <summary>
/// BLEU-4 as the evaluator of CodeXGLUE's code translation and refinement tasks computes it (<c>evaluator/bleu.py</c>, itself
/// from TensorFlow's NMT). It is not <see cref="CorpusBleu"/>: texts are cut at blanks only, the shortest reference counts,
/// and 1 is added to numerator and denominator of every order. Use it to compare with numbers published on CodeXGLUE.
/// <para>Lu et al. 2021, <see href="https://arxiv.org/abs/2102.04664"/>; Lin, Och 2004 for the smoothing.</para>
/// </summary>
public static class CodeXGlueBleu
{
    private const int MaximumOrder = 4;

    /// <summary>Scores outputs against one reference each.</summary>
    /// <param name="outputs">The texts to score, at least one.</param>
    /// <param name="references">As many references.</param>
    /// <param name="smooth">Whether 1 is added to each order's matches and total, as the published numbers are computed.</param>
    /// <returns>The score; 0 where all outputs or all references are blank, where the tool fails with a division by zero.</returns>
    /// <exception cref="ArgumentException">There is nothing to score, or lengths differ.</exception>
    public static CodeXGlueBleuScore Score(IReadOnlyList<string> outputs, IReadOnlyList<string> references, bool smooth = true)
    {
        Pairs.Check(outputs, references);
        var ngrams = new NgramMatches(MaximumOrder);
        long length = 0, referenceLength = 0;
        for (var i = 0; i < outputs.Count; i++)
        {
            string[] output = Blanks.Split(outputs[i]), reference = Blanks.Split(references[i]);
            ngrams.Add(output, [reference]);
            length += output.Length;
            referenceLength += reference.Length;
        }

        var added = smooth ? 1 : 0;
        var precisions = new double[MaximumOrder];
        for (var order = 0; order < MaximumOrder; order++)
        {
            var total = ngrams.Totals[order] + added;
            precisions[order] = total == 0 ? 0 : (double)(ngrams.Matches[order] + added) / total;
        }

        if (length == 0 || referenceLength == 0) return new CodeXGlueBleuScore(0, precisions, 0, 0, length, referenceLength);
        var ratio = (double)length / referenceLength;
        var penalty = ratio > 1 ? 1 : Math.Exp(1 - 1 / ratio);
        return new CodeXGlueBleuScore(
            penalty * Math.Exp(precisions.Average(Math.Log)), precisions, penalty, ratio, length, referenceLength);
    }
}
