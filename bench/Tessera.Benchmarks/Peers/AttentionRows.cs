using System.Globalization;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Dense causal attention against <c>torch_attention.py</c>.</summary>
internal static class AttentionRows
{
    private const int Rounds = 2, Length = 8192, Runs = 4;

    /// <summary>Both precisions against the peer's F32.</summary>
    public static void Run(Report report, PeerScripts peers, params IReadOnlyList<Precision> precisions)
    {
        var (ours, theirs) = (precisions.ToDictionary(precision => precision, _ => AttentionTime.None), AttentionTime.None);
        var mask = BlockMask.Causal(Length, Length);
        foreach (var precision in precisions) AttentionRun.WarmUp(precision, run => BlockMask.Causal(run.Length, run.Length));
        for (var round = 0; round < Rounds; round++)
        {
            theirs = theirs.Best(Peer(peers));
            foreach (var precision in precisions)
                ours[precision] = ours[precision].Best(new AttentionRun(Length, precision).Measure(mask, Runs));
        }

        foreach (var (precision, time) in ours)
        {
            var work =
                $"causal attention, 8 x 64, {Length} long, {precision}{(precision == Precision.F32 ? "" : " against PyTorch's F32")}";
            var (forward, backward) = precision == Precision.F32
                    ? (Targets.AttentionForwardF32, Targets.AttentionBackwardF32)
                    : (Targets.AttentionForwardBf16, Targets.AttentionBackwardBf16);
            report.CompareTimes($"{work}: forward", time.Forward, theirs.Forward, forward);
            report.CompareTimes($"{work}: backward", time.Backward, theirs.Backward, backward);
        }
    }

    private static AttentionTime Peer(PeerScripts peers)
    {
        var line = peers.Run("torch_attention.py", "--lengths", Length.ToString(CultureInfo.InvariantCulture)).Lines[0];
        return new AttentionTime(PeerScripts.Number(line, "forward_ms") / 1e3, PeerScripts.Number(line, "backward_ms") / 1e3);
    }
}
