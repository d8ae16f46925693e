using System.Text;

namespace Tessera.Text.Corpora;

/// <summary>
/// Divides examples into train, validation and test by a hash of their group, which makes a group's place depend on
/// its name, the seed and the fractions only.
/// </summary>
public static class GroupSplit
{
    /// <summary>The corpus that keeps the splits given and draws the missing ones (null) from <paramref name="examples"/>.</summary>
    /// <param name="options">Have the fractions and the seed.</param>
    /// <param name="origin">Where the examples came from, for people.</param>
    /// <param name="dropped">How much was left out, by reason.</param>
    /// <param name="examples">What is divided; what no other split takes is trained on.</param>
    /// <param name="validation">Examples to choose by that have a file of their own.</param>
    /// <param name="test">Examples to report on that have a file of their own.</param>
    /// <exception cref="InvalidDataException">There are no examples, or none is left to train on.</exception>
    public static Corpus Divide(
        CorpusOptions options, string origin, IReadOnlyDictionary<string, int> dropped, IReadOnlyList<Example> examples,
        IReadOnlyList<Example>? validation = null, IReadOnlyList<Example>? test = null)
    {
        if (examples.Count == 0) throw new InvalidDataException($"{origin}: no examples to train on{Reasons(dropped)}");

        var validationFraction = validation is null ? options.ValidationFraction : 0;
        var testFraction = test is null ? options.TestFraction : 0;
        List<Example> train = [], drawnValidation = [], drawnTest = [];
        foreach (var example in examples)
        {
            // Test takes the low end and validation the high one: changing one fraction leaves the other split as it was.
            var place = Place(example.Group, options.Seed);
            if (place < testFraction) drawnTest.Add(example);
            else if (place >= 1 - validationFraction) drawnValidation.Add(example);
            else train.Add(example);
        }

        if (testFraction > 0 && drawnTest.Count == 0) MoveGroup(train, drawnTest, options.Seed, last: false);
        if (validationFraction > 0 && drawnValidation.Count == 0) MoveGroup(train, drawnValidation, options.Seed, last: true);
        if (train.Count == 0)
        {
            throw new InvalidDataException(
                $"{origin}: all {examples.Count} examples fell into validation or test; " +
                "lower data.validationFraction and data.testFraction or change data.seed");
        }

        return new Corpus(train, validation ?? drawnValidation, test ?? drawnTest) { Origin = origin, Dropped = dropped };
    }

    /// <summary>A small corpus may have no group where a split's share lies: the nearest one goes there, if two others remain.</summary>
    private static void MoveGroup(List<Example> from, List<Example> to, int seed, bool last)
    {
        var groups = from.Select(example => example.Group).Distinct().OrderBy(group => Place(group, seed)).ToList();
        if (groups.Count < 3) return;
        var moved = last ? groups[^1] : groups[0];
        to.AddRange(from.Where(example => example.Group == moved));
        from.RemoveAll(example => example.Group == moved);
    }

    /// <summary>
    /// A number in [0, 1) that is the same for the same name and seed, on every machine: FNV-1a, then a mixing of its bits.
    /// </summary>
    /// <param name="name">A group's name, or any other text.</param>
    /// <param name="seed">Another seed gives other numbers.</param>
    public static double Place(string name, int seed)
    {
        const ulong Offset = 0xcbf29ce484222325, Prime = 0x100000001b3;
        var hash = Offset;
        for (var shift = 0; shift < 32; shift += 8) hash = (hash ^ (byte)(seed >> shift)) * Prime;
        foreach (var value in Encoding.UTF8.GetBytes(name)) hash = (hash ^ value) * Prime;

        // FNV's high bits change little between short names; this is the last step of MurmurHash3 (public domain).
        hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
        hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
        hash ^= hash >> 33;
        return (hash >> 11) * (1.0 / (1UL << 53));
    }

    private static string Reasons(IReadOnlyDictionary<string, int> dropped) =>
        dropped.Count == 0 ? "" : $" (left out: {string.Join(", ", dropped.Select(reason => $"{reason.Value} {reason.Key}"))})";
}
