using System.Diagnostics;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Tessera.Benchmarks.TorchSharpPeer;

/// <summary>Dense causal attention of 8 heads of 64, one sequence, forward and backward, as <c>torch_attention.py</c>.</summary>
internal static class AttentionTimes
{
    public static void Run(Options options, Action<object> print)
    {
        var type = options.Text("dtype", "float32");
        foreach (var length in options.Text("lengths", "8192").Split(',').Select(long.Parse))
        {
            var (queries, keys, values) = (Draw(), Draw(), Draw());
            using var upstream = ones(1, 8, length, 64).to(queries.dtype);
            var (forward, backward) = (double.MaxValue, double.MaxValue);
            for (var run = 0; run < 4; run++)
            {
                var start = Stopwatch.GetTimestamp();
                using var y = F.scaled_dot_product_attention(queries, keys, values, is_casual: true);
                var middle = Stopwatch.GetTimestamp();
                y.backward([upstream]);
                forward = Math.Min(forward, Stopwatch.GetElapsedTime(start, middle).TotalMilliseconds);
                backward = Math.Min(backward, Stopwatch.GetElapsedTime(middle).TotalMilliseconds);
                (queries.grad, keys.grad, values.grad) = (null, null, null);
            }

            print(new { length, dtype = type, forward_ms = Math.Round(forward, 1), backward_ms = Math.Round(backward, 1) });

            Tensor Draw() =>
                randn(1, 8, length, 64).to(type == "bfloat16" ? ScalarType.BFloat16 : ScalarType.Float32).requires_grad_();
        }
    }
}
