using System.Diagnostics;
using static TorchSharp.torch;

namespace Tessera.Benchmarks.TorchSharpPeer;

/// <summary>A bidirectional LSTM of 2 layers, forward and backward, as <c>torch_lstm.py</c>.</summary>
internal static class LstmTimes
{
    public static void Run(Options options, Action<object> print)
    {
        using var lstm = nn.LSTM(64, 128, 2, batchFirst: true, bidirectional: true);
        using var x = randn(16, 256, 64).requires_grad_();
        var (best, forwardBest, backwardBest) = (double.MaxValue, double.MaxValue, double.MaxValue);
        for (var run = -2; run < options.Int("repeats", 8); run++)
        {
            using var scope = NewDisposeScope();
            lstm.zero_grad();
            x.grad = null;
            var start = Stopwatch.GetTimestamp();
            var y = lstm.forward(x).Item1;
            var middle = Stopwatch.GetTimestamp();
            y.sum().backward();
            var (forward, backward) =
                (Stopwatch.GetElapsedTime(start, middle).TotalMilliseconds, Stopwatch.GetElapsedTime(middle).TotalMilliseconds);
            if (run < 0) continue;
            (forwardBest, backwardBest) = (Math.Min(forwardBest, forward), Math.Min(backwardBest, backward));
            best = Math.Min(best, forward + backward);
        }

        print(new
        {
            @params = lstm.parameters().Sum(parameter => parameter.numel()), forward_ms = Math.Round(forwardBest, 2),
            backward_ms = Math.Round(backwardBest, 2), step_ms = Math.Round(best, 2),
        });
    }
}
