namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>The random choices of one case, a function of its seed alone.</summary>
internal sealed class Draw(CounterRandom random)
{
    /// <summary>Nothing, one, a few, primes, and the neighbours of every tile and block of the kernels.</summary>
    private static readonly int[] s_sizes =
    [
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        11,
        12,
        13,
        15,
        16,
        17,
        23,
        24,
        25,
        29,
        31,
        32,
        33,
        37,
        47,
        48,
        49,
        61,
        63,
        64,
        65,
        97,
        127,
        128,
        129,
        257,
        383,
        384,
        385,
        769,
    ];

    private ulong _next;

    public int Seed => (int)(random.Key >> 40) + (int)_next;

    public bool Coin => Between(0, 1) == 1;

    public int Between(int min, int max) => min + random.Below(max - min + 1, _next++);

    public T Pick<T>(params ReadOnlySpan<T> choices) => choices[Between(0, choices.Length - 1)];

    /// <summary>A size that kernels may trip over, <paramref name="max"/> at most; small ones as often as all others.</summary>
    public int Size(int max, int min = 0)
    {
        if (Between(0, 2) == 0) max = Math.Max(min, Math.Min(max, 5));
        var first = Array.FindIndex(s_sizes, size => size >= min);
        var last = Array.FindLastIndex(s_sizes, size => size <= max);
        return s_sizes[Between(first, last)];
    }

    /// <summary>Elements of the standard normal distribution.</summary>
    public (Shape Shape, float[] Values) Normal(Shape shape, double scale = 1) => OperationCheck.Random(shape, Between(1, 1 << 20), scale);

    /// <summary>Whole numbers from 0 to <paramref name="limit"/> − 1.</summary>
    public int[] Below(int limit, int count) => Samples.Below(limit, count, Between(1, 1 << 20));
}
