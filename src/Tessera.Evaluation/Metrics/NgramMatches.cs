namespace Tessera.Evaluation.Metrics;

/// <summary>
/// Counts, over the segments of a corpus, how many n-grams the hypotheses have and how many of them their references
/// have too, each n-gram counted at most as often as in the reference that has it most: the sufficient statistics of BLEU
/// (Papineni et al. 2002, <see href="https://aclanthology.org/P02-1040"/>, section 2.1).
/// </summary>
/// <param name="maximumOrder">The longest n-gram, at least 1.</param>
internal sealed class NgramMatches(int maximumOrder)
{
    /// <summary>Clipped matches, by n-gram length minus one.</summary>
    public long[] Matches { get; } = new long[maximumOrder];

    /// <summary>N-grams of the hypotheses, by n-gram length minus one.</summary>
    public long[] Totals { get; } = new long[maximumOrder];

    /// <summary>Adds one segment: a tokenized hypothesis and its tokenized references.</summary>
    public void Add(string[] hypothesis, IReadOnlyList<string[]> references)
    {
        // An n-gram is named by the name of its first n − 1 tokens and its last token, so that all orders share one table.
        var names = new Dictionary<(int Prefix, string Token), int>();
        var orders = new List<int>();
        var counts = new List<int>();
        for (var start = 0; start < hypothesis.Length; start++)
        {
            var name = -1;
            for (var order = 0; order < Matches.Length && start + order < hypothesis.Length; order++)
            {
                var key = (name, hypothesis[start + order]);
                if (!names.TryGetValue(key, out name))
                {
                    names.Add(key, name = counts.Count);
                    orders.Add(order);
                    counts.Add(0);
                }

                counts[name]++;
                Totals[order]++;
            }
        }

        var max = new int[counts.Count];
        foreach (var reference in references)
        {
            var here = Count(reference, names);
            for (var name = 0; name < max.Length; name++) max[name] = Math.Max(max[name], here[name]);
        }

        for (var name = 0; name < max.Length; name++) Matches[orders[name]] += Math.Min(counts[name], max[name]);
    }

    /// <summary>How often a reference has each n-gram that the hypothesis has.</summary>
    private int[] Count(string[] reference, Dictionary<(int Prefix, string Token), int> names)
    {
        var counts = new int[names.Count];
        for (var start = 0; start < reference.Length; start++)
        {
            var name = -1;
            for (var order = 0; order < Matches.Length && start + order < reference.Length; order++)
            {
                // An n-gram the hypothesis lacks cannot begin a longer one that it has.
                if (!names.TryGetValue((name, reference[start + order]), out name)) break;
                counts[name]++;
            }
        }

        return counts;
    }
}
