using Tessera.Tensors.Kernels;

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
        DropoutKernel.Drop(x.Floats, y.Floats, rate, random, accumulate: false);
        if (Tape.Write<DropoutEntry>(y, x) is { } entry) (entry.X, entry.Rate, entry.Random) = (x, rate, random);
        GC.KeepAlive(x);
        return y;
    }

    private sealed class DropoutEntry : TapeEntry
    {
        public Tensor X = null!;
        public float Rate;
        public CounterRandom Random;

        public override void Backward()
        {
            var dx = X.Slot!.Write(out var accumulate);
            DropoutKernel.Drop(OutputGradient, dx, Rate, Random, accumulate);
        }
    }
}
