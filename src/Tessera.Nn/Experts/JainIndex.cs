namespace Tessera.Nn.Experts;

/// <summary>
/// Jain's index of fairness, <c>(Σx)² / (n Σx²)</c>: 1 where all n shares are equal, k/n where k of them have everything in
/// equal parts. Here it says how evenly experts are used.
/// <para>Jain, Chiu, Hawe 1984, DEC-TR-301, <see href="https://arxiv.org/abs/cs/9809099"/>.</para>
/// </summary>
public static class JainIndex
{
    /// <summary>The index of a list of loads: <c>1/n</c> to 1.</summary>
    /// <param name="loads">Loads in one unit, at least one, each finite and not negative. All zero are all equal: 1.</param>
    /// <exception cref="ArgumentException">There is no load, or one is negative or not finite.</exception>
    public static double Of(IReadOnlyList<double> loads)
    {
        ArgumentNullException.ThrowIfNull(loads);
        if (loads.Count == 0) throw new ArgumentException("There is no load to take Jain's index of.", nameof(loads));
        for (var i = 0; i < loads.Count; i++)
        {
            if (!double.IsFinite(loads[i]) || loads[i] < 0)
                throw new ArgumentException($"Load {i} is {loads[i]}; it must be finite and at least 0.", nameof(loads));
        }

        // Relative to the largest, squares neither overflow nor vanish.
        var largest = loads.Max();
        if (largest == 0) return 1;
        double sum = 0, squares = 0;
        foreach (var load in loads)
        {
            var share = load / largest;
            sum += share;
            squares += share * share;
        }

        return sum * sum / (loads.Count * squares);
    }
}
