using System.Globalization;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Dense causal attention against <c>torch_attention.py</c>.</summary>
internal static class AttentionRows
{
    private const int Rounds = 2, Length = 8192, Runs = 4;

    public static void F32(Report report, PeerScripts peers)
    {
        var (ours, theirs) = (AttentionTime.None, AttentionTime.None);
        var (mask, run) = (BlockMask.Causal(Length, Length), new AttentionRun(Length));
        AttentionRun.WarmUp(length => BlockMask.Causal(length, length));
        for (var round = 0; round < Rounds; round++)
        {
            theirs = theirs.Best(Peer(peers));
            ours = ours.Best(run.Measure(mask, Runs));
        }

        var work = $"causal attention, 8 x 64, {Length} long";
        report.CompareTimes($"{work}, F32: forward", ours.Forward, theirs.Forward, Targets.AttentionForwardF32);
        report.CompareTimes($"{work}, F32: backward", ours.Backward, theirs.Backward, Targets.AttentionBackwardF32);
    }

    private static AttentionTime Peer(PeerScripts peers)
    {
        var line = peers.Run("torch_attention.py", "--lengths", Length.ToString(CultureInfo.InvariantCulture)).Lines[0];
        return new AttentionTime(PeerScripts.Number(line, "forward_ms") / 1e3, PeerScripts.Number(line, "backward_ms") / 1e3);
    }
}
