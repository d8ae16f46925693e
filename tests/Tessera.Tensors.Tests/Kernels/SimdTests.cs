using System.Runtime.Intrinsics;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Kernels;

public unsafe class SimdTests
{
    [Fact]
    public void Shares_cover_all_items_once_in_order()
    {
        foreach (var items in new[] { 0, 1, 2, 7, 100, int.MaxValue })
            foreach (var parts in new[] { 1, 2, 3, 7, 64 })
            {
                var next = 0;
                for (var part = 0; part < parts; part++)
                {
                    var (start, end) = Simd.Share(items, parts, part);
                    Assert.Equal(next, start);
                    Assert.True(end >= start);
                    next = end;
                }

                Assert.Equal(items, next);
            }
    }

    [Fact]
    public void Parts_are_at_least_one_and_no_more_than_items_or_four_a_thread()
    {
        foreach (var items in new[] { 0L, 1, 3, 1000, 1L << 40 })
            foreach (var cost in new[] { 0L, 1, 1000, 1L << 20 })
                Assert.InRange(Simd.Parts(items, cost), 1, Math.Max(1, Math.Min(items, 4L * Simd.Threads)));
    }

    [Fact]
    public void Lanes_of_every_width_agree_with_one_lane()
    {
        Check<Lanes1>();
        if (Vector128.IsHardwareAccelerated) Check<Lanes128>();
        if (Vector256.IsHardwareAccelerated) Check<Lanes256>();
        if (Vector512.IsHardwareAccelerated) Check<Lanes512>();
    }

    private static void Check<V>() where V : struct, ILanes<V>
    {
        float[] special =
        [
            0, -0f, 1, -1, 2.5f, -2.5f, 1e-30f, -1e-30f, 87, -87, 88.7f, -103, 200, -200, 1e30f, -1e30f,
            float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.Epsilon, float.MaxValue, float.MinValue, 0.3f, -7.1f,
        ];
        var values = Enumerable.Range(0, 48).Select(i => special[i % special.Length]).ToArray();
        var others = Enumerable.Range(0, 48).Select(i => special[(i * 7 + 3) % special.Length]).ToArray();
        for (var start = 0; start + V.Count <= 48; start += V.Count)
        {
            fixed (float* a = values, b = others)
            {
                var (left, right) = (V.Load(a + start), V.Load(b + start));
                Each((x, y) => x + y, left + right);
                Each((x, y) => x - y, left - right);
                Each((x, y) => x * y, left * right);
                Each((x, y) => x / y, left / right);
                Each((x, y) => MathF.FusedMultiplyAdd(x, y, x), V.MultiplyAdd(left, right, left));
                Each(MathF.Max, V.Max(left, right));
                Each((x, _) => MathF.Abs(x), V.Abs(left));
                Each((x, _) => float.IsNaN(x) ? x : MathF.Sign(x), V.Sign(left));
                Each((x, _) => MathF.Sqrt(x), V.Sqrt(left));
                Each((_, _) => 3, V.All(3));
                Each((_, _) => 0, V.Zero);
                Each((x, _) => (float)Math.Exp(x), Exponential.Exp(left), relative: 3e-7);
            }

            void Each(Func<float, float, float> expected, V found, double relative = 0)
            {
                var result = new float[V.Count];
                fixed (float* to = result) found.Store(to);
                for (var i = 0; i < V.Count; i++)
                {
                    var wanted = expected(values[start + i], others[start + i]);
                    Assert.True(
                        wanted.Equals(result[i])
                            || wanted == result[i]
                            || Math.Abs(wanted - result[i]) <= Math.Max(1e-38, relative * Math.Abs(wanted)),
                        $"{V.Count} lanes, {values[start + i]} and {others[start + i]}: {result[i]}, expected {wanted}");
                }
            }
        }

        for (var place = 0; place < V.Count; place++)
        {
            var numbers = Enumerable.Range(0, V.Count).Select(i => i == place ? 100f : -i).ToArray();
            fixed (float* from = numbers)
            {
                Assert.Equal(numbers.Sum(), V.Load(from).Sum());
                Assert.Equal(100, V.Load(from).Greatest());
                from[place] = float.NaN;
                Assert.True(float.IsNaN(V.Load(from).Greatest()) && float.IsNaN(V.Load(from).Sum()));
            }
        }
    }
}
