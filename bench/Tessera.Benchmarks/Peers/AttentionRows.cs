using System.Globalization;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Dense causal attention against PyTorch's: fused, and in BF16 too, in the current one; of F32 scores in an older one.</summary>
internal static class AttentionRows
{
    private const int Rounds = 2, Length = 8192, Runs = 4;

    public static void Run(Report report, TorchPeer peers, Precision precision)
    {
        var (ours, theirs) = (AttentionTime.None, AttentionTime.None);
        var isOlder = precision == Precision.BF16 && !peers.IsCurrent;
        var (mask, type) = (BlockMask.Causal(Length, Length), precision == Precision.F32 || isOlder ? "float32" : "bfloat16");
        AttentionRun.WarmUp(precision, run => BlockMask.Causal(run.Length, run.Length));
        for (var round = 0; round < Rounds; round++)
        {
            theirs = theirs.Best(Peer(peers, type));
            ours = ours.Best(new AttentionRun(Length, precision).Measure(mask, Runs));
        }

        var work = $"causal attention, 8 x 64, {Length} long, {precision}{(isOlder ? " against PyTorch's F32" : "")}";
        var (forward, backward) = precision == Precision.F32
                ? (Targets.AttentionForwardF32, Targets.AttentionBackwardF32)
                : (Targets.AttentionForwardBf16, Targets.AttentionBackwardBf16);
        var (first, second) = ours.Shares(precision, 0.5 * Length * Length);
        report.CompareTimes($"{work}: forward", ours.Forward, theirs.Forward, first, forward);
        report.CompareTimes($"{work}: backward", ours.Backward, theirs.Backward, second, backward);
    }

    private static AttentionTime Peer(TorchPeer peers, string type)
    {
        var line = peers.Run("attention", "--lengths", Length.ToString(CultureInfo.InvariantCulture), "--dtype", type).Lines[0];
        return new AttentionTime(TorchPeer.Number(line, "forward_ms") / 1e3, TorchPeer.Number(line, "backward_ms") / 1e3);
    }
}
