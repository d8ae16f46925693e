using System.Globalization;
using System.Text;

namespace Tessera.Benchmarks.Peers;

/// <summary>The tables that a run fills, and prints line by line as it does.</summary>
internal sealed class Report
{
    private const string Explanation = """

        A ratio says how many times faster Tessera is; bar and goal are those for this kind of processor. Products and attention are the
        best of several runs of each side, training steps the median of several and the best of three turns. The peer is PyTorch, or what
        the line names.

        - Products are `y = x Wᵀ`. In BF16 with 256 rows or more, Tessera's activations are F32 and rounded in each call, its weights packed
          once, as in an optimizer step; with fewer rows its weights are stored in BF16, as for inference. PyTorch has both in BF16.
        - A training step is forward, loss, backward, clipping and AdamW over 16 x 256 tokens, in a process of its own on each side, of the
          same sizes of model. BF16 is mixed precision on both sides, with F32 weights.
        - Attention is causal, 8 heads of 64, one sequence. The blocks of MoBA are chosen by each query for itself among those before its own,
          by random keys, so that neighbours agree on nothing; choosing is not timed.
        - Matrix-vector products go over matrices of 512 MiB in all in turn, more than caches hold; the bandwidth is that of a vectorised sum
          over an array of that size by as many threads.

        """;

    private readonly List<string> _ratios = [];
    private readonly List<string> _details = [];
    private readonly List<string> _checks = [];

    /// <summary>Adds a line of the ratio table.</summary>
    /// <param name="work">What was done.</param>
    /// <param name="ours">Our side, in words.</param>
    /// <param name="peer">The other side.</param>
    /// <param name="ratio">How many times faster ours was.</param>
    /// <param name="targets">What that should be.</param>
    public void Compare(string work, string ours, string peer, double ratio, Targets targets)
    {
        var (bar, goal, met) = targets.Here is { } target
            ? (Number(target.Bar), Number(target.Goal), ratio >= target.Goal ? "goal" : ratio >= target.Bar ? "bar" : "**no**")
            : ("–", "–", "no bar here");
        Add(_ratios, work, ours, peer, Number(ratio), bar, goal, met);
    }

    /// <summary>Adds a line for two times of the same work.</summary>
    public void CompareTimes(string work, double oursSeconds, double peerSeconds, Targets targets) =>
        Compare(work, Time(oursSeconds), Time(peerSeconds), peerSeconds / oursSeconds, targets);

    /// <summary>Adds a line of the ratio table that could not be measured, with the reason.</summary>
    public void Skip(string work, string why) => Add(_ratios, work, "not run", why, "–", "–", "–", "–");

    /// <summary>Adds a line of single measurements that a line of the ratio table sums up.</summary>
    public void Detail(string work, string ours, string peer, double ratio) => Add(_details, work, ours, peer, Number(ratio));

    /// <summary>Adds a line of what is not a speed.</summary>
    public void Check(string what, string found, string bar, bool met) => Add(_checks, what, found, bar, met ? "yes" : "**no**");

    public string ToMarkdown(IEnumerable<(string Name, string Value)> machine, string command)
    {
        var text = new StringBuilder();
        text.Append("# Benchmarks\n\nBoth sides of each line ran in turn, in one run of\n\n    ").Append(command).Append("\n\n");
        foreach (var (name, value) in machine) text.Append(CultureInfo.InvariantCulture, $"- {name}: {value}\n");
        text.Append(Explanation);
        Table(text, ["work", "Tessera", "peer", "ratio", "bar", "goal", "met"], _ratios);
        Table(text, ["also", "found", "bar", "met"], _checks);
        Table(text, ["measured besides", "Tessera", "peer", "ratio"], _details);
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
