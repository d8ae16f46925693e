using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Kernels;

public class ExponentialTests
{
    [Fact]
    public void Sigmoid_and_tanh_are_within_three_ten_millionths_at_every_width()
    {
        Check<Lanes1>();
        Check<Lanes128>();
        if (Simd.Highest >= KernelLevel.Vector256) Check<Lanes256>();
        if (Simd.Highest >= KernelLevel.Vector512) Check<Lanes512>();
    }

    private static void Check<V>() where V : struct, ILanes<V>
    {
        var exponents = Enumerable
            .Range(-120, 127)
            .SelectMany(power => new[] { 1, 1.1f, 1.37f, 1.83f }.Select(m => m * MathF.Pow(2, power)));
        var steps = Enumerable.Range(0, 9_000).Select(i => i * 0.01f);
        foreach (var magnitude in exponents.Concat(steps))
        {
            Compare<V>(magnitude);
            Compare<V>(-magnitude);
        }

        foreach (var x in new[] { 88f, 100, 1e10f, float.MaxValue, float.PositiveInfinity })
        {
            Assert.Equal((1, 1), At<V>(x));
            Assert.Equal(-1, At<V>(-x).Tanh);
            Assert.InRange(At<V>(-x).Sigmoid, 0, x < 89 ? 1e-38f : 0);
        }

        Assert.Equal((float.NaN, float.NaN), At<V>(float.NaN));
    }

    private static void Compare<V>(float x) where V : struct, ILanes<V>
    {
        var (sigmoid, tanh) = At<V>(x);
        Near(1 / (1 + Math.Exp(-x)), sigmoid, x, "sigmoid");
        Near(Math.Tanh(x), tanh, x, "tanh");
    }

    private static void Near(double expected, float found, float x, string function) =>
        Assert.True(
            Math.Abs(found - expected) <= Math.Max(3e-39, 3e-7 * Math.Abs(expected)),
            $"{function}({x:R}) is {found:R}, expected {expected:R}");

    /// <summary>The first and the last lane, which must agree.</summary>
    private static unsafe (float Sigmoid, float Tanh) At<V>(float x) where V : struct, ILanes<V>
    {
        var values = stackalloc float[2 * V.Count];
        Exponential.Sigmoid(V.All(x)).Store(values);
        Exponential.Tanh(V.All(x)).Store(values + V.Count);
        Assert.Equal(values[0], values[V.Count - 1]);
        Assert.Equal(values[V.Count], values[(2 * V.Count) - 1]);
        return (values[0], values[V.Count]);
    }
}
