using System.Diagnostics;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Times of work in this process.</summary>
internal static class Timing
{
    private const int Turns = 12;

    /// <summary>Seconds of one call, the best of several, once the compiler is done with it. Each call has an arena scope.</summary>
    public static double Best(Action work)
    {
        WarmUp(work);
        var once = Seconds(work, 1);
        var calls = (int)Math.Clamp(0.01 / once, 1, 1 << 20);
        var best = double.MaxValue;
        for (var turn = 0; turn < Turns; turn++) best = Math.Min(best, Seconds(work, calls));
        return best;
    }

    /// <summary>Calls until what is called has been compiled for good: it is replaced after 30 calls, in the background.</summary>
    public static void WarmUp(Action work)
    {
        var start = Stopwatch.GetTimestamp();
        for (var calls = 0; calls < 40 || Elapsed() < 0.5; calls++)
        {
            Seconds(work, 1);
            if (Elapsed() > 2) return;
        }

        double Elapsed() => Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Seconds(Action work, int calls)
    {
        var start = Stopwatch.GetTimestamp();
        for (var call = 0; call < calls; call++)
        {
            using var scope = Arena.Current.Scope();
            work();
        }

        return Stopwatch.GetElapsedTime(start).TotalSeconds / calls;
    }
}
