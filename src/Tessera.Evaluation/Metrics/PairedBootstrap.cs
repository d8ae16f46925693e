using Tessera.Tensors;

namespace Tessera.Evaluation.Metrics;

/// <summary>
/// Whether two systems differ by more than the choice of examples explains. Sets of as many examples are drawn with replacement, the same
/// for both systems; p is the share of sets in which the absolute difference lies above its mean by more than the difference that was
/// found, <c>(c + 1) / (samples + 1)</c>, as sacrebleu and Moses compute it; but 1 where no difference was found at all.
/// <para>Koehn 2004, <see href="https://aclanthology.org/W04-3250"/>; Riezler, Maxwell 2005,
/// <see href="https://aclanthology.org/W05-0908"/>.</para>
/// </summary>
/// <param name="First">The score of the first system.</param>
/// <param name="Second">The score of the second.</param>
/// <param name="PValue">In (0, 1]: how likely such a difference is where there is none; small where the systems differ.</param>
public sealed record PairedBootstrap(double First, double Second, double PValue)
{
    /// <summary>The second score less the first.</summary>
    public double Difference => Second - First;

    /// <summary>Compares two systems on the same examples, which stand at the same places in both.</summary>
    /// <param name="first">Of the first system.</param>
    /// <param name="second">Of the second.</param>
    /// <param name="samples">How many sets are drawn, at least 1.</param>
    /// <param name="seed">Where the random numbers come from: the same seed gives the same p.</param>
    /// <exception cref="ArgumentException">There is no example, the systems have different numbers of them, or no set is drawn.</exception>
    public static PairedBootstrap Compare(AdditiveScore first, AdditiveScore second, int samples = 1000, ulong seed = 12345)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(samples, 1);
        var examples = first.Counts.Count;
        if (examples == 0 || examples != second.Counts.Count)
            throw new ArgumentException($"There are {examples} and {second.Counts.Count} examples; both need the same, at least one.");
        var random = new CounterRandom(seed).Derive("bootstrap");
        var differences = new List<double>(samples);
        for (var sample = 0; sample < samples; sample++)
        {
            var draws = random.Derive((ulong)sample);
            int[] drawn = [.. Enumerable.Range(0, examples).Select(i => draws.Below(examples, (ulong)i))];
            var difference = Math.Abs(second.ValueOf(drawn) - first.ValueOf(drawn));
            if (!double.IsNaN(difference)) differences.Add(difference);
        }

        var (before, after) = (first.Value, second.Value);
        if (differences.Count == 0 || before == after) return new PairedBootstrap(before, after, 1);
        var (mean, found) = (differences.Average(), Math.Abs(after - before));
        var above = differences.Count(difference => difference - mean > found);
        return new PairedBootstrap(before, after, (above + 1.0) / (differences.Count + 1));
    }
}
