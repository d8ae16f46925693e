using System.Globalization;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>What a decode step of a small model gains from threads, and what garbage it makes.</summary>
internal static class DecodeRows
{
    private const int Rounds = 2, Steps = 400;

    public static void Run(Report report)
    {
        var (alone, together, bytes) = (double.MaxValue, double.MaxValue, 0.0);
        for (var round = 0; round < Rounds; round++)
        {
            alone = Math.Min(alone, Time(1, out _));
            together = Math.Min(together, Time(Processor.Threads, out bytes));
        }

        const double Bytes = sizeof(float) * (14.24e6 - (320 * 8192)); // of weights that a token meets
        const string Work = "decode step, decoder of 14.2 M, F32";
        report.Check(
            $"{Work}: {Processor.Threads} threads over 1",
            $"{Report.Time(alone)} / {Report.Time(together)} = {Report.Number(alone / together)}",
            "1.70", alone >= 1.7 * together);
        report.Check($"{Work}: weights read", Peak.ShareOfBandwidth(Bytes / together), "–", true);
        report.Check($"{Work}: managed bytes a step", Report.Number(bytes), "0", bytes == 0);
    }

    private static double Time(int threads, out double bytes)
    {
        var line = Child.RunOwnWithThreads(threads, "decode-step", Steps.ToString(CultureInfo.InvariantCulture)).Lines[^1];
        bytes = TorchPeer.Number(line, "managed_bytes_a_step");
        return TorchPeer.Number(line, "step_ms") / 1e3;
    }
}
