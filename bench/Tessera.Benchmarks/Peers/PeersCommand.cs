using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary><c>peers</c>: fills the table of ratios for the machine it runs on.</summary>
internal static class PeersCommand
{
    private static readonly (string Name, Action<Report, TorchPeer> Run)[] s_rows =
    [
        ("products-f32", ProductRows.F32),
        ("products-bf16", ProductRows.Bf16),
        ("decoder-f32", (report, peers) => TrainingRows.Run(report, peers, "decoder", Precision.F32, Targets.DecoderF32)),
        ("decoder-bf16", (report, peers) => TrainingRows.Run(report, peers, "decoder", Precision.BF16, Targets.DecoderBf16)),
        ("hybrid-f32", (report, peers) => TrainingRows.Run(report, peers, "hybrid", Precision.F32, Targets.HybridF32)),
        ("hybrid-bf16", (report, peers) => TrainingRows.Run(report, peers, "hybrid", Precision.BF16, Targets.HybridBf16)),
        ("lstm", LstmRows.Run),
        ("attention-f32", (report, peers) => AttentionRows.Run(report, peers, Precision.F32)),
        ("attention-bf16", (report, peers) => AttentionRows.Run(report, peers, Precision.BF16)),
        ("sparse-f32", (report, _) => SparseRows.F32(report)),
        ("sparse-bf16", (report, _) => SparseRows.Bf16(report)),
        ("matrix-vector", (report, _) => MatrixVectorRows.Run(report)),
        ("decode", (report, _) => DecodeRows.Run(report)),
        .. LlamaCppRows.All,
    ];

    public static string Usage =>
        $"[--peers FOLDER] [--torch libtorch|pytorch] [--rows NAME,…] [--output FILE.md]; rows: "
        + $"{string.Join(", ", s_rows.Select(row => row.Name))}; a word of names (f32, decoder) takes all that have it";

    /// <summary>Measures the rows asked for, prints each as it is done, and writes the tables to a file where one is named.</summary>
    /// <exception cref="ArgumentException">An option is unknown, or names no row.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder of peers does not exist.</exception>
    public static void Run(IReadOnlyList<string> arguments)
    {
        var options = Options(arguments);
        var rows = Rows(options.GetValueOrDefault("--rows"));
        var peers = TorchPeer.Find(options.GetValueOrDefault("--peers"), options.GetValueOrDefault("--torch"));
        Console.WriteLine($"peaks: {Peak.InWords}");
        var load = new Load();
        var facts = Machine.Facts(peers.Version).ToList();
        foreach (var (name, value) in facts) Console.WriteLine($"{name}: {value}");

        var report = new Report();
        foreach (var (name, run) in rows)
        {
            Console.Error.WriteLine($"measuring {name} …");
            Peak.Look();
            try
            {
                run(report, peers);
            }
            catch (NotHereException missing)
            {
                report.Skip(name, missing.Message);
            }

            load.Look();
            // After each, so that a run that is stopped leaves what it has.
            if (options.GetValueOrDefault("--output") is { } file)
            {
                ReportFile.Write(
                    file, Machine.KindName,
                    report.ToMarkdown([.. facts, ("peaks", Peak.InWords), ("load", $"{load}")], string.Join(' ', ["Tessera.Benchmarks", "peers", .. arguments])));
            }
        }

        Console.WriteLine($"load: {load}");
    }

    private static Dictionary<string, string> Options(IReadOnlyList<string> arguments)
    {
        var options = new Dictionary<string, string>();
        for (var i = 0; i < arguments.Count; i += 2)
        {
            if (arguments[i] is not ("--peers" or "--torch" or "--rows" or "--output") || i + 1 == arguments.Count)
                throw new ArgumentException($"peers: '{arguments[i]}' is no option, or has no value; allowed: {Usage}");
            options[arguments[i]] = arguments[i + 1];
        }

        return options;
    }

    private static (string Name, Action<Report, TorchPeer> Run)[] Rows(string? wanted)
    {
        if (wanted is null) return s_rows;
        var parts = wanted.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (var part in parts)
            if (!s_rows.Any(row => Fits(row.Name, part))) throw new ArgumentException($"--rows: '{part}' names no row; allowed: {Usage}");
        return [.. s_rows.Where(row => parts.Any(part => Fits(row.Name, part)))];
    }

    private static bool Fits(string name, string part) => name.Split('-').Contains(part) || name == part;
}
