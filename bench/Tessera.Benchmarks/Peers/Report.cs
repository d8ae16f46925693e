using System.Globalization;
using System.Text;

namespace Tessera.Benchmarks.Peers;

/// <summary>The tables that a run fills, and prints line by line as it does.</summary>
internal sealed class Report
{
    private readonly List<string> _ratios = [];
    private readonly List<string> _details = [];
    private readonly List<string> _checks = [];

    /// <summary>Adds a line of the ratio table.</summary>
    /// <param name="work">What was done.</param>
    /// <param name="ours">Our side, in words.</param>
    /// <param name="peer">The other side.</param>
    /// <param name="ratio">How many times faster ours was.</param>
    /// <param name="share">What our side reached of what the machine can do, in words; empty where that is not known.</param>
    /// <param name="targets">What the ratio should be.</param>
    public void Compare(string work, string ours, string peer, double ratio, string share, Targets targets)
    {
        var (bar, goal, met) = targets.Here is { } target
            ? (Number(target.Bar), Number(target.Goal), ratio >= target.Goal ? "goal" : ratio >= target.Bar ? "bar" : "**no**")
            : ("–", "–", "no bar here");
        Add(_ratios, work, ours, peer, Number(ratio), share.Length > 0 ? share : "–", bar, goal, met);
    }

    /// <summary>Adds a line for two times of the same work.</summary>
    public void CompareTimes(string work, double oursSeconds, double peerSeconds, string share, Targets targets) =>
        Compare(work, Time(oursSeconds), Time(peerSeconds), peerSeconds / oursSeconds, share, targets);

    /// <summary>Adds a line of the ratio table that could not be measured, with the reason.</summary>
    public void Skip(string work, string why) => Add(_ratios, work, "not run", why, "–", "–", "–", "–", "–");

    /// <summary>Adds a line of single measurements that a line of the ratio table sums up.</summary>
    public void Detail(string work, string ours, string peer, double ratio, string share) =>
        Add(_details, work, ours, peer, Number(ratio), share);

    /// <summary>Adds a line of what is not a speed.</summary>
    public void Check(string what, string found, string bar, bool met) => Add(_checks, what, found, bar, met ? "yes" : "**no**");

    /// <summary>The section of this machine: its facts, and the tables.</summary>
    public string ToMarkdown(IEnumerable<(string Name, string Value)> machine, string command)
    {
        var text = new StringBuilder();
        text.Append("Both sides of each line ran in turn, in one run of\n\n    ").Append(command).Append("\n\n");
        foreach (var (name, value) in machine) text.Append(CultureInfo.InvariantCulture, $"- {name}: {value}\n");
        Table(text, ["work", "Tessera", "peer", "ratio", "Tessera's share", "bar", "goal", "met"], _ratios);
        Table(text, ["also", "found", "bar", "met"], _checks);
        Table(text, ["measured besides", "Tessera", "peer", "ratio", "Tessera's share"], _details);
        return text.ToString();
    }

    public static string Number(double value) =>
        value.ToString(
            value >= 100 ? "F0"
                : value >= 10 ? "F1"
                : "F2",
            CultureInfo.InvariantCulture);

    public static string Time(double seconds) =>
        seconds >= 10 ? $"{Number(seconds)} s" : seconds >= 1e-3 ? $"{Number(seconds * 1e3)} ms" : $"{Number(seconds * 1e6)} µs";

    private static void Table(StringBuilder text, string[] header, List<string> lines)
    {
        if (lines.Count == 0) return;
        text.Append(CultureInfo.InvariantCulture, $"\n| {string.Join(" | ", header)} |\n|{string.Concat(header.Select(_ => "---|"))}\n");
        foreach (var line in lines) text.Append(line).Append('\n');
    }

    private static void Add(List<string> lines, params string[] cells)
    {
        var line = $"| {string.Join(" | ", cells)} |";
        Console.WriteLine(line);
        lines.Add(line);
    }
}
