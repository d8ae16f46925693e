using System.Globalization;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Optimizer steps of <c>torch_train.py</c>'s two models against PyTorch's; each side in a process of its own, in turn.</summary>
internal static class TrainingRows
{
    private const int Rounds = 3, OurSteps = 10, PeerSteps = 4;

    public static void Run(Report report, TorchPeer peers, string model, Precision precision, Targets targets)
    {
        var (ours, theirs, name) = (new Side(), new Side(), precision.ToString().ToLowerInvariant());
        for (var round = 0; round < Rounds; round++)
        {
            theirs.Add(
                peers.Run(
                    "train", "--model", model, "--dtype", precision == Precision.F32 ? "fp32" : name, "--steps", Text(PeerSteps)));
            ours.Add(Child.RunOwn("training-step", model, name, Text(OurSteps)));
        }

        var work = $"training step, {model}, {precision}";
        report.CompareTimes($"{work} ({Millions(ours)} parameters, PyTorch {Millions(theirs)})", ours.Seconds, theirs.Seconds,
            Peak.Share(precision, TrainingStep.Operations(model), ours.Seconds), targets);
        Check(report, work, ours, theirs);

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        static string Millions(Side side) => (side.Parameters / 1e6).ToString("F2", CultureInfo.InvariantCulture) + " M";
    }

    private static void Check(Report report, string work, Side ours, Side theirs)
    {
        var memory = (double)ours.PeakBytes / theirs.PeakBytes;
        report.Check(
            $"{work}: peak memory of the process, over PyTorch's",
            $"{MiB(ours.PeakBytes)} / {MiB(theirs.PeakBytes)} = {Report.Number(memory)}", "1.00", memory <= 1);
        report.Check($"{work}: managed bytes a step", $"{ours.ManagedBytes:F0}", "0", ours.ManagedBytes == 0);
        report.Check(
            $"{work}: weights of two runs after the same steps", ours.Weights.Count == 1 ? "equal bits" : "differ", "equal bits",
            ours.Weights.Count == 1);

        static string MiB(long bytes) => $"{bytes / 1048576} MiB";
    }

    /// <summary>The best turn of one side.</summary>
    private sealed class Side
    {
        public double Seconds { get; private set; } = double.MaxValue;

        public double Parameters { get; private set; }

        public long PeakBytes { get; private set; }

        public double ManagedBytes { get; private set; }

        /// <summary>The hashes of the weights that runs ended with.</summary>
        public HashSet<string> Weights { get; } = [];

        public void Add(ChildResult run)
        {
            var line = run.Lines[^1];
            Seconds = Math.Min(Seconds, TorchPeer.Number(line, "step_ms") / 1e3);
            Parameters = TorchPeer.Number(line, "params");
            PeakBytes = Math.Max(PeakBytes, run.PeakBytes);
            if (line.TryGetProperty("managed_bytes_a_step", out var bytes)) ManagedBytes = bytes.GetDouble();
            if (line.TryGetProperty("weights", out var weights)) Weights.Add(weights.GetString()!);
        }
    }
}
