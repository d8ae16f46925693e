namespace Tessera.Evaluation.Metrics;

/// <summary>
/// How many outputs equal their reference, blanks at both ends of each aside; case and blanks inside count. So CodeXGLUE's
/// evaluators define it (<c>evaluator.py</c>; they print <c>100 · <see cref="Share"/></c>).
/// </summary>
/// <param name="Matches">Outputs that equal their reference.</param>
/// <param name="Total">Outputs in all, at least 1.</param>
public sealed record ExactMatch(int Matches, int Total)
{
    /// <summary>Matches over total, 0 to 1.</summary>
    public double Share => (double)Matches / Total;

    /// <summary>Compares each output with the reference at the same place.</summary>
    /// <exception cref="ArgumentException">There is no output, or lengths differ.</exception>
    public static ExactMatch Measure(IReadOnlyList<string> outputs, IReadOnlyList<string> references)
    {
        Pairs.Check(outputs, references);
        return new ExactMatch(outputs.Where((output, i) => IsMatch(output, references[i])).Count(), outputs.Count);
    }

    /// <summary>Whether two texts are equal, blanks at both ends of each aside.</summary>
    public static bool IsMatch(string output, string reference)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(reference);
        return Blanks.Trim(output) == Blanks.Trim(reference);
    }
}
