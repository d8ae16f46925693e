using System.Diagnostics;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Seconds of the two halves of attention, each the best of what was added.</summary>
internal readonly record struct AttentionTime(double Forward, double Backward)
{
    public static readonly AttentionTime None = new(double.MaxValue, double.MaxValue);

    public AttentionTime Best(AttentionTime other) => new(Math.Min(Forward, other.Forward), Math.Min(Backward, other.Backward));

    /// <summary>Of the peak: two products a pair of a query and a key forward, five backward.</summary>
    public (string Forward, string Backward) Shares(Precision precision, double pairs)
    {
        var product = 2.0 * pairs * AttentionRun.Heads * AttentionRun.Width;
        return (Peak.Share(precision, 2 * product, Forward), Peak.Share(precision, 5 * product, Backward));
    }
}

/// <summary>Attention of 8 heads of 64 over one sequence, forward and backward.</summary>
internal sealed class AttentionRun
{
    public const int Heads = 8, Width = 64;

    private const double Patience = 15;

    private readonly Precision _precision;
    private readonly Tensor _upstream;

    public AttentionRun(int length, Precision precision)
    {
        (Length, _precision) = (length, precision);
        (Queries, Keys, Values) = (
            Drawn.Normal([1, length, Heads, Width], 1), Drawn.Normal([1, length, Heads, Width], 2),
            Drawn.Normal([1, length, Heads, Width], 3));
        foreach (var tensor in new[] { Queries, Keys, Values }) tensor.WithGradient();
        _upstream = Tensor.Allocate(Queries.Shape);
        _upstream.Floats.Fill(1); // the gradient of a sum, as the peer's script takes it
    }

    public int Length { get; }

    public Precision Precision => _precision;

    public Tensor Queries { get; }

    public Tensor Keys { get; }

    public Tensor Values { get; }

    /// <summary>The best of several runs; of fewer where they take long.</summary>
    public AttentionTime Measure(BlockMask mask, int runs)
    {
        var (best, start) = (AttentionTime.None, Stopwatch.GetTimestamp());
        for (var run = 0; run < runs && (run == 0 || Stopwatch.GetElapsedTime(start).TotalSeconds < Patience); run++)
            best = best.Best(Once(mask));
        return best;
    }

    /// <summary>Has the compiler do its work on a short sequence, where that takes a moment.</summary>
    public static void WarmUp(Precision precision, Func<AttentionRun, BlockMask> mask)
    {
        var run = new AttentionRun(2048, precision);
        var drawn = mask(run);
        Timing.WarmUp(() => run.Once(drawn));
    }

    private AttentionTime Once(BlockMask mask)
    {
        foreach (var tensor in new[] { Queries, Keys, Values }) tensor.ClearGradient();
        using var scope = Arena.Current.Scope();
        using var numbers = Autocast.Enter(_precision);
        using var tape = Tape.Record();
        var start = Stopwatch.GetTimestamp();
        var y = Op.Attention(Queries, Keys, Values, mask);
        var middle = Stopwatch.GetTimestamp();
        tape.Backward(y, _upstream.Floats);
        return new AttentionTime(Stopwatch.GetElapsedTime(start, middle).TotalSeconds, Stopwatch.GetElapsedTime(middle).TotalSeconds);
    }
}
