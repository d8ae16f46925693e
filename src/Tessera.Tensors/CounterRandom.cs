namespace Tessera.Tensors;

/// <summary>
/// Random numbers that are a function of a key and an index, with no state: the same key and index give the same number
/// on every machine and in every order, so that a resumed run and a recomputed segment see what they saw before.
/// The function is SplitMix64's finaliser over key and index (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195).
/// </summary>
/// <param name="Key">Which sequence; see <see cref="Derive(ulong)"/>.</param>
public readonly record struct CounterRandom(ulong Key)
{
    /// <summary>An independent sequence for one purpose, such as a layer, an epoch or a step.</summary>
    public CounterRandom Derive(ulong purpose) => new(Mix(Key ^ Mix(purpose + 0xD1B54A32D192ED03)));

    /// <summary>An independent sequence for a named purpose.</summary>
    public CounterRandom Derive(string purpose)
    {
        var hash = 14695981039346656037UL; // FNV-1a, so that names hash alike everywhere
        foreach (var character in purpose) hash = (hash ^ character) * 1099511628211UL;
        return Derive(hash);
    }

    /// <summary>64 random bits.</summary>
    public ulong Bits(ulong index) => Mix(Key + (index * 0x9E3779B97F4A7C15));

    /// <summary>A number in [0, 1), one of 2⁵³.</summary>
    public double Uniform(ulong index) => (Bits(index) >> 11) * (1.0 / (1UL << 53));

    /// <summary>A whole number in [0, <paramref name="limit"/>), without bias worth noting for limits far below 2⁶⁴.</summary>
    public int Below(int limit, ulong index) => (int)Math.BigMul(Bits(index), (ulong)limit, out _);

    /// <summary>A number of the standard normal distribution (Box and Muller).</summary>
    public double Normal(ulong index)
    {
        var radius = Math.Sqrt(-2 * Math.Log(1 - Uniform(2 * index)));
        return radius * Math.Cos(2 * Math.PI * Uniform((2 * index) + 1));
    }

    /// <summary>Puts <paramref name="items"/> in a random order (Fisher and Yates).</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = Below(i + 1, (ulong)i);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
