using System.Globalization;

namespace Tessera.Evaluation.Reports;

/// <summary>
/// An axis marked at round numbers: steps of 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for graph labels",
/// Graphics Gems, 1990).
/// </summary>
internal sealed class NiceScale
{
    // Beyond these, spans overflow or vanish.
    private const double Largest = 1e300, Smallest = 1e-280;

    private readonly double _start;
    private readonly double _end;
    private readonly int _exponent;

    private NiceScale(double start, double end, double[] ticks, int exponent) =>
        (_start, _end, Ticks, _exponent) = (start, end, ticks, exponent);

    /// <summary>The marks, rising.</summary>
    public double[] Ticks { get; }

    /// <summary>Whether an axis can show a value.</summary>
    public static bool Shows(double value) => Math.Abs(value) <= Largest;

    /// <summary>An axis that starts and ends at round numbers around the values, with about so many intervals.</summary>
    public static NiceScale Around(double lowest, double highest, int intervals)
    {
        (lowest, highest) = Widened(lowest, highest);
        var (step, exponent) = Step((highest - lowest) / intervals);
        var ticks = Multiples(step, Math.Floor(lowest / step + 1e-9), Math.Ceiling(highest / step - 1e-9));
        return new NiceScale(ticks[0], ticks[^1], ticks, exponent);
    }

    /// <summary>An axis that starts and ends where the values do, with round numbers marked between.</summary>
    public static NiceScale Within(double lowest, double highest, int intervals)
    {
        (lowest, highest) = Widened(lowest, highest);
        var (step, exponent) = Step((highest - lowest) / intervals);
        var ticks = Multiples(step, Math.Ceiling(lowest / step - 1e-9), Math.Floor(highest / step + 1e-9));
        return new NiceScale(lowest, highest, ticks, exponent);
    }

    /// <summary>Where a value stands on the axis: 0 at its start, 1 at its end.</summary>
    public double Place(double value) => (value - _start) / (_end - _start);

    /// <summary>A mark with as many digits as tell it from its neighbours: <c>0.25</c>, <c>40k</c>, <c>5e-6</c>.</summary>
    public string Label(double tick)
    {
        if (Math.Abs(tick) < Smallest) return "0";
        var largest = Math.Max(Math.Abs(_start), Math.Abs(_end));
        if (largest is >= 1e15 or < 1e-3)
        {
            var digits = Math.Clamp((int)Math.Floor(Math.Log10(largest)) - _exponent, 0, 15);
            return tick.ToString("0." + new string('#', digits) + "e0", CultureInfo.InvariantCulture);
        }

        var (zeros, suffix) = largest switch
        {
            >= 1e12 => (12, "T"),
            >= 1e9 => (9, "G"),
            >= 1e6 => (6, "M"),
            >= 1e4 => (3, "k"),
            _ => (0, ""),
        };
        var decimals = Math.Max(0, zeros - _exponent);
        return (tick / Math.Pow(10, zeros)).ToString($"N{decimals}", CultureInfo.InvariantCulture) + suffix;
    }

    /// <summary>One value, or values too close to tell apart, are put in the middle of an axis.</summary>
    private static (double Lowest, double Highest) Widened(double lowest, double highest)
    {
        var largest = Math.Max(Math.Abs(lowest), Math.Abs(highest));
        if (highest - lowest > Math.Max(largest * 1e-9, Smallest)) return (lowest, highest);
        var around = largest < Smallest ? 1 : largest / 2;
        return (lowest - around, highest + around);
    }

    private static (double Step, int Exponent) Step(double rough)
    {
        var exponent = (int)Math.Floor(Math.Log10(rough));
        return (rough / Math.Pow(10, exponent)) switch
        {
            < 1.5 => (Math.Pow(10, exponent), exponent),
            < 3.5 => (2 * Math.Pow(10, exponent), exponent),
            < 7.5 => (5 * Math.Pow(10, exponent), exponent),
            _ => (Math.Pow(10, exponent + 1), exponent + 1),
        };
    }

    private static double[] Multiples(double step, double first, double last) =>
        [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => (first + i) * step)];
}
