using System.Diagnostics;
using System.Text.Json;
using Tessera.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Benchmarks;

/// <summary>The rate of matrix products through the operations a model uses; the best of several runs.</summary>
internal static class ProductBenchmark
{
    private static readonly (int M, int N, int K)[] s_linear =
    [
        (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (4096, 320, 320), (4096, 744, 320), (4096, 8192, 320),
        (64, 320, 320), (1, 4096, 4096), (16, 4096, 4096),
    ];

    public static void Run()
    {
        foreach (var (m, n, k) in s_linear)
            Report("linear", m, n, k, Linear(m, n, k, backward: false));
        foreach (var (m, n, k) in new[] { (4096, 744, 320), (4096, 320, 744) })
            Report("linear and its gradients", m, n, 3 * k, Linear(m, n, k, backward: true));
        foreach (var groups in new[] { 1, 8, 64, 256 })
            Report($"{groups} groups", 4096, 368, 256, Grouped(groups, 4096, 368, 256));
    }

    private static double Linear(int m, int n, int k, bool backward)
    {
        var (x, weight) = (Random([m, k], 1), Random([n, k], 2));
        if (!backward) return Best((double)m * n * k, () => Op.Linear(x, weight));

        var parameter = Tensor.AllocateParameter([n, k]);
        weight.Floats.CopyTo(parameter.Floats);
        var upstream = Random([m, n], 3);
        return Best(3.0 * m * n * k, () =>
        {
            using var tape = Tape.Record();
            tape.Backward(Op.Linear(x.Reshape(x.Shape).WithGradient(), parameter), upstream.Floats);
        });
    }

    private static double Grouped(int groups, int slots, int n, int k)
    {
        var (x, weight) = (Random([slots, k], 1), Random([groups, n, k], 2));
        var offsets = Tensor.Allocate([groups + 1], ElementType.I32);
        for (var group = 0; group <= groups; group++) offsets.Ints[group] = (int)((long)slots * group / groups);
        return Best((double)slots * n * k, () => Op.GroupedLinear(x, weight, offsets));
    }

    private static double Best(double multiplications, Action action)
    {
        var repeats = (int)Math.Max(1, 2e8 / multiplications);
        var best = double.MaxValue;
        var begin = Stopwatch.GetTimestamp();
        var runs = 0;
        while (runs < 12)
        {
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < repeats; i++)
            {
                using var scope = Arena.Current.Scope();
                action();
            }

            // The first second goes to the compiler, which replaces what it sees used.
            if (Stopwatch.GetElapsedTime(begin).TotalSeconds < 1) continue;
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds / repeats);
            runs++;
        }

        return best;
    }

    private static Tensor Random(Shape shape, ulong seed)
    {
        var tensor = Tensor.Allocate(shape);
        var random = new CounterRandom(seed);
        for (var i = 0; i < tensor.Floats.Length; i++) tensor.Floats[i] = (float)random.Normal((ulong)i);
        return tensor;
    }

    private static void Report(string what, int m, int n, int k, double seconds) => Console.WriteLine(JsonSerializer.Serialize(
        new { what, m, n, k, threads = Simd.Threads, level = Simd.Level.ToString(), gflops = Math.Round(2e-9 * m * n * k / seconds, 1) }));
}
