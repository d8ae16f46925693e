using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks;

/// <summary>
/// Causal attention with a score bias, forward and backward: 8 heads of 64 over 4, 8 and 16 thousand tokens. Each bias is evaluated in
/// the tiles and, as "table", as it once was: a number for each head and pair, made from distances pair by pair. Each case is a
/// process of its own, so that its peak memory is its own; a table of 16 thousand tokens does not fit, and is computed from half the
/// length.
/// </summary>
internal static class ScoreBiasBenchmark
{
    public const string Usage = "[f32|bf16] [LONGEST]";

    private const int Heads = 8, Width = 64, Buckets = 32, MaxDistance = 128, Rounds = 2;

    private static readonly string[] s_kinds = ["none", "alibi", "alibi table", "t5", "t5 table", "relative"];

    /// <summary>Measures each case in turn, the best of two rounds, and prints a table.</summary>
    public static void Run(string precision, int longest)
    {
        int[] lengths = [.. new[] { longest / 4, longest / 2, longest }.Where(length => length > 0)];
        var found = new Dictionary<(string, int), (double Seconds, double MiB)>();
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var length in lengths)
                foreach (var kind in s_kinds.Where(kind => length < longest || !IsTable(kind)))
                    Note(found, (kind, length), Measure(kind, precision, length));
        }

        Console.WriteLine($"{Heads} heads of {Width}, causal, forward and backward, {precision}; seconds and MiB at most\n");
        Console.WriteLine($"| bias | {string.Join(" | ", lengths.Select(length => $"{length} tokens"))} |");
        Console.WriteLine($"|---|{string.Concat(lengths.Select(_ => "---:|"))}");
        foreach (var kind in s_kinds)
            Console.WriteLine($"| {kind} | {string.Join(" | ", lengths.Select(length => Cell(found, kind, length)))} |");
    }

    /// <summary>One case: prints a line of JSON, with the best time of a second's runs.</summary>
    public static void RunCase(string kind, string precision, int length)
    {
        var numbers = precision == "bf16" ? Precision.BF16 : Precision.F32;
        var small = new Inputs(kind, 200);
        for (var i = 0; i < 40; i++) Step(small, numbers);
        var inputs = new Inputs(kind, length);
        var (best, all) = (double.MaxValue, Stopwatch.StartNew());
        do
        {
            var start = Stopwatch.GetTimestamp();
            Step(inputs, numbers);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        while (all.Elapsed.TotalSeconds < 1);
        Console.WriteLine(JsonSerializer.Serialize(new { seconds = best }));
    }

    private static bool IsTable(string kind) => kind.EndsWith("table", StringComparison.Ordinal);

    private static (double Seconds, double MiB) Measure(string kind, string precision, int length)
    {
        var child = Child.RunOwn("score-bias-case", kind, precision, length.ToString(CultureInfo.InvariantCulture));
        return (child.Lines[^1].GetProperty("seconds").GetDouble(), child.PeakBytes / 1048576.0);
    }

    private static void Note(
        Dictionary<(string, int), (double Seconds, double MiB)> found, (string, int) at, (double Seconds, double MiB) next)
    {
        var (seconds, memory) = found.GetValueOrDefault(at, (double.MaxValue, 0));
        found[at] = (Math.Min(seconds, next.Seconds), Math.Max(memory, next.MiB));
    }

    private static string Cell(Dictionary<(string, int), (double Seconds, double MiB)> found, string kind, int length)
    {
        if (found.TryGetValue((kind, length), out var cell)) return Text(cell);
        var half = found[(kind, length / 2)];
        return $"({Text((4 * half.Seconds, 4 * half.MiB))})";

        static string Text((double Seconds, double MiB) cell) =>
            string.Create(CultureInfo.InvariantCulture, $"{cell.Seconds:F2} s, {cell.MiB:F0} MiB");
    }

    private static void Step(Inputs inputs, Precision precision)
    {
        var length = inputs.Queries.Shape[1];
        using var scope = Arena.Current.Scope();
        using var numbers = Autocast.Enter(precision);
        using var tape = Tape.Record();
        var buckets = inputs.Kind == "t5 table" ? BucketsOfPairs(length) : null;
        var pairs = inputs.Kind switch
        {
            "alibi table" => TableOfSlopes(length, inputs.Slopes),
            "t5 table" => TableOfBuckets(buckets!, inputs.Table),
            _ => null,
        };
        var bias = inputs.Kind switch
        {
            "none" => null,
            "alibi" => ScoreBias.Linear(inputs.Slopes),
            "t5" => ScoreBias.Buckets(inputs.Table, MaxDistance, bidirectional: false),
            "relative" => ScoreBias.Relative(inputs.PositionQueries, inputs.PositionKeys),
            _ => ScoreBias.Dense(pairs!),
        };
        var y = Op.Attention(
            inputs.Queries, inputs.Keys, inputs.Values, BlockMask.Causal(length, length), new AttentionSettings { Bias = bias });
        tape.Backward(y, y.Floats);
        if (buckets is not null) AddToBuckets(buckets, pairs!.Gradient, new float[inputs.Table.Floats.Length]);
    }

    /// <summary>What a case is computed from; the learned ones collect gradients.</summary>
    private sealed class Inputs(string kind, int length)
    {
        public string Kind => kind;

        public Tensor Queries { get; } = Drawn.Normal([1, length, Heads, Width], 1).WithGradient();

        public Tensor Keys { get; } = Drawn.Normal([1, length, Heads, Width], 2).WithGradient();

        public Tensor Values { get; } = Drawn.Normal([1, length, Heads, Width], 3).WithGradient();

        public Tensor Slopes { get; } = Drawn.Normal([Heads], 4);

        public Tensor Table { get; } = Drawn.Normal([Buckets, Heads], 5).WithGradient();

        public Tensor PositionQueries { get; } = Drawn.Normal([1, kind == "relative" ? length : 1, Heads, Width], 6).WithGradient();

        public Tensor PositionKeys { get; } = Drawn.Normal([kind == "relative" ? length : 1, Heads, Width], 7).WithGradient();
    }

    private static Tensor TableOfSlopes(int length, Tensor slopes)
    {
        var pairs = Tensor.Temporary([Heads, length, length]);
        for (var i = 0; i < pairs.Floats.Length; i += length)
        {
            var (slope, query) = (slopes.Floats[i / length / length], i / length % length);
            var row = pairs.Floats.Slice(i, length);
            for (var key = 0; key < length; key++) row[key] = -slope * Math.Abs(key - query);
        }

        return pairs;
    }

    private static Tensor BucketsOfPairs(int length)
    {
        var buckets = Tensor.Temporary([length, length], ElementType.I32);
        for (var i = 0; i < buckets.Ints.Length; i += length)
            for (var key = 0; key < length; key++) buckets.Ints[i + key] = Bucket((i / length) - key);
        return buckets;
    }

    private static Tensor TableOfBuckets(Tensor buckets, Tensor table)
    {
        var pairs = Tensor.Temporary([Heads, buckets.Shape[0], buckets.Shape[1]]).WithGradient();
        var ids = buckets.Ints;
        var scores = table.Floats;
        for (var head = 0; head < Heads; head++)
        {
            var to = pairs.Floats.Slice(head * ids.Length, ids.Length);
            for (var i = 0; i < ids.Length; i++) to[i] = scores[(ids[i] * Heads) + head];
        }

        return pairs;
    }

    private static void AddToBuckets(Tensor buckets, ReadOnlySpan<float> gradient, float[] sums)
    {
        var ids = buckets.Ints;
        for (var head = 0; head < Heads; head++)
        {
            var from = gradient.Slice(head * ids.Length, ids.Length);
            for (var i = 0; i < ids.Length; i++) sums[(ids[i] * Heads) + head] += from[i];
        }
    }

    private static int Bucket(int distance)
    {
        const int Near = Buckets / 2;
        if (distance < Near) return Math.Max(0, distance);
        var share = Math.Log((double)distance / Near) / Math.Log((double)MaxDistance / Near);
        return Math.Min(Buckets - 1, Near + (int)(share * (Buckets - Near)));
    }
}
