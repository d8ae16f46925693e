namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Sets each element to zero with probability <paramref name="rate"/> and divides the others by 1 − rate
    /// (Srivastava et al. 2014). Which elements is a function of <paramref name="random"/> alone.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="rate">In [0, 1); 0 returns x itself.</param>
    /// <param name="random">A sequence that nothing else uses.</param>
    /// <exception cref="ArgumentOutOfRangeException">The rate is not in [0, 1).</exception>
    public static Tensor Dropout(Tensor x, float rate, CounterRandom random)
    {
        if (rate is not (>= 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(rate), rate, "a dropout rate is in [0, 1)");
        if (rate == 0) return x;
        var y = Tensor.Temporary(x.Shape);
        Drop(x.Floats, y.Floats, rate, random, accumulate: false);
        if (Tape.Write<DropoutEntry>(y, x) is { } entry) (entry.X, entry.Rate, entry.Random) = (x, rate, random);
        return y;
    }

    /// <summary>One 64-bit number decides about four elements, 16 bits each.</summary>
    private static void Drop(ReadOnlySpan<float> x, Span<float> y, float rate, CounterRandom random, bool accumulate)
    {
        var threshold = (int)Math.Round(rate * 65536.0);
        var keep = 1 / (1 - rate);
        for (var i = 0; i < x.Length; i += 4)
        {
            var bits = random.Bits((ulong)i / 4);
            var end = Math.Min(i + 4, x.Length);
            for (var j = i; j < end; j++, bits >>= 16)
            {
                var value = (int)(bits & 0xFFFF) < threshold ? 0 : x[j] * keep;
                y[j] = accumulate ? y[j] + value : value;
            }
        }
    }

    private sealed class DropoutEntry : TapeEntry
    {
        public Tensor X = null!;
        public float Rate;
        public CounterRandom Random;

        public override void Backward()
        {
            var dx = X.Slot!.Write(out var accumulate);
            Drop(OutputGradient, dx, Rate, Random, accumulate);
        }
    }
}
