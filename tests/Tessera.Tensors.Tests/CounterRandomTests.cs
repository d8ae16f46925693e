namespace Tessera.Tensors.Tests;

public class CounterRandomTests
{
    private const int Count = 200_000;

    [Theory]
    [InlineData(0UL)]
    [InlineData(1UL)]
    [InlineData(ulong.MaxValue)]
    public void Uniform_numbers_fill_their_interval_evenly(ulong key)
    {
        var random = new CounterRandom(key);
        var bins = new int[100];
        for (var i = 0UL; i < Count; i++)
        {
            var value = random.Uniform(i);
            Assert.InRange(value, 0, 0.9999999999999999);
            bins[(int)(value * bins.Length)]++;
        }

        AssertChiSquared(bins, Count / (double)bins.Length);
    }

    [Fact]
    public void Normal_numbers_have_the_moments_of_the_normal_distribution()
    {
        var random = new CounterRandom(5);
        var values = Enumerable.Range(0, Count).Select(i => random.Normal((ulong)i)).ToArray();
        double[] moments = [0, 1, 0, 3, 0, 15]; // of order 1 to 6; the deviation of the estimate follows from order 2n
        double[] deviations = [1, Math.Sqrt(2), Math.Sqrt(15), Math.Sqrt(96), Math.Sqrt(945), Math.Sqrt(10395 - 225)];
        for (var order = 1; order <= 6; order++)
            Assert.Equal(moments[order - 1], values.Average(value => Math.Pow(value, order)), 5 * deviations[order - 1] / Math.Sqrt(Count));
        Assert.Equal(0.6827, values.Count(value => Math.Abs(value) < 1) / (double)Count, 0.005);
    }

    [Fact]
    public void Whole_numbers_below_a_limit_come_equally_often()
    {
        foreach (var limit in new[] { 1, 2, 7, 100 })
        {
            var bins = new int[limit];
            for (var i = 0UL; i < Count; i++) bins[new CounterRandom(9).Below(limit, i)]++;
            if (limit > 1) AssertChiSquared(bins, Count / (double)limit);
        }
    }

    [Fact]
    public void Derived_sequences_are_independent_of_each_other_and_of_their_origin()
    {
        var origin = new CounterRandom(1);
        CounterRandom[] sequences =
        [
            origin, origin.Derive(0), origin.Derive(1), origin.Derive("a"), origin.Derive("b"), new(2), new CounterRandom(2).Derive(0)];
        for (var left = 0; left < sequences.Length; left++)
            for (var right = left + 1; right < sequences.Length; right++)
            {
                var correlation = 0.0;
                for (var i = 0UL; i < 20_000; i++) correlation += (sequences[left].Uniform(i) - 0.5) * (sequences[right].Uniform(i) - 0.5);
                Assert.Equal(0, 12 * correlation / 20_000, 5 / Math.Sqrt(20_000));
            }

        Assert.Equal(10_000, Enumerable.Range(0, 10_000).Select(i => origin.Derive((ulong)i).Key).Distinct().Count());
    }

    [Fact]
    public void The_same_key_and_index_give_the_same_number_everywhere()
    {
        // SplitMix64 from seed 1234567: its published first outputs are those of indices 1, 2 and 3.
        var random = new CounterRandom(1234567);
        Assert.Equal(
            [6457827717110365317UL, 3203168211198807973UL, 9817491932198370423UL], [random.Bits(1), random.Bits(2), random.Bits(3)]);
        Assert.Equal(random.Derive("layer"), new CounterRandom(1234567).Derive("layer"));
    }

    [Fact]
    public void Shuffle_is_a_permutation_and_every_permutation_is_as_likely()
    {
        var items = Enumerable.Range(0, 1000).ToArray();
        new CounterRandom(3).Shuffle(items.AsSpan());
        Assert.NotEqual(Enumerable.Range(0, 1000), items);
        Assert.Equal(Enumerable.Range(0, 1000), items.Order());

        var seen = new Dictionary<string, int>();
        for (var i = 0UL; i < 48_000; i++)
        {
            char[] letters = ['a', 'b', 'c', 'd'];
            new CounterRandom(4).Derive(i).Shuffle(letters.AsSpan());
            seen[new string(letters)] = seen.GetValueOrDefault(new string(letters)) + 1;
        }

        Assert.Equal(24, seen.Count);
        AssertChiSquared([.. seen.Values], 2000);
        new CounterRandom(3).Shuffle(Span<int>.Empty);
    }

    /// <summary>χ² of n bins has mean n − 1 and variance 2 (n − 1): within five deviations.</summary>
    private static void AssertChiSquared(int[] bins, double expected)
    {
        var squared = bins.Sum(found => (found - expected) * (found - expected) / expected);
        var freedom = bins.Length - 1;
        Assert.InRange(squared, Math.Max(0, freedom - (5 * Math.Sqrt(2 * freedom))), freedom + (5 * Math.Sqrt(2 * freedom)));
    }
}
