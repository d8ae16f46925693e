namespace Tessera.Evaluation.Metrics;

/// <summary>
/// A score as a function of counts that add up over examples, such as matches and totals: the score of any set of examples follows from
/// the sum of their counts. So sets can be drawn anew without measuring again (<see cref="PairedBootstrap"/>).
/// </summary>
/// <param name="Counts">[examples][counts]: the same number of counts for each example.</param>
/// <param name="Of">The score of summed counts [counts]; NaN where there is none, as without tokens.</param>
public sealed record AdditiveScore(IReadOnlyList<double[]> Counts, Func<double[], double> Of)
{
    /// <summary>The score of all examples; NaN where there are none.</summary>
    public double Value => Counts.Count == 0 ? double.NaN : Of(Sum(Enumerable.Range(0, Counts.Count)));

    /// <summary>The score of a set of examples, any of which may be in it several times.</summary>
    /// <param name="examples">Their indices, at least one.</param>
    public double ValueOf(IEnumerable<int> examples) => Of(Sum(examples));

    /// <summary>A mean: <c>scale · Σ numerators / Σ denominators</c>.</summary>
    /// <param name="parts">Numerator and denominator of each example.</param>
    /// <param name="scale">100 for per cent.</param>
    public static AdditiveScore Ratio(IEnumerable<(double Numerator, double Denominator)> parts, double scale = 1) =>
        new([.. parts.Select(part => new[] { part.Numerator, part.Denominator })],
            sums => sums[1] > 0 ? scale * sums[0] / sums[1] : double.NaN);

    private double[] Sum(IEnumerable<int> examples)
    {
        var sums = new double[Counts[0].Length];
        foreach (var example in examples)
            for (var i = 0; i < sums.Length; i++) sums[i] += Counts[example][i];
        return sums;
    }
}
