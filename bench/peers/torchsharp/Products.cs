using System.Diagnostics;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Tessera.Benchmarks.TorchSharpPeer;

/// <summary>Products <c>y = x Wᵀ</c> of <c>torch_gemm.py</c>'s shapes: the best of several runs.</summary>
internal static class Products
{
    private static readonly (long M, long N, long K)[] s_shapes =
    [
        (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048),
        (4096, 320, 320), (4096, 744, 320), (4096, 8192, 320), (1, 4096, 4096), (16, 4096, 4096),
    ];

    public static void Run(Options options, Action<object> print)
    {
        using var off = no_grad();
        var types = options.Text("dtype", "float32,bfloat16").Split(',');
        foreach (var (m, n, k) in s_shapes)
        {
            foreach (var type in types)
            {
                var number = type == "bfloat16" ? ScalarType.BFloat16 : ScalarType.Float32;
                using var x = randn(m, k).to(number);
                using var weight = randn(n, k).to(number);
                print(new { m, n, k, dtype = type, gflops = Math.Round(2e-9 * m * n * k / Best(x, weight, m * n * k), 1) });
            }
        }
    }

    private static double Best(Tensor x, Tensor weight, long products)
    {
        var (best, calls) = (double.MaxValue, (int)Math.Max(1, 200_000_000 / products));
        for (var turn = -3; turn < 12; turn++)
        {
            var start = Stopwatch.GetTimestamp();
            for (var call = 0; call < calls; call++) F.linear(x, weight).Dispose();
            if (turn >= 0) best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds / calls);
        }

        return best;
    }
}
