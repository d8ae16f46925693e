using System.Globalization;

namespace Tessera.Benchmarks.Peers;

/// <summary>How busy the machine was with other work, since numbers of a busy one mean little. Linux.</summary>
internal sealed class Load
{
    private readonly string _before = Average();
    private readonly (double Busy, double Own, double All) _start = Times();
    private string _lowest = "", _highest = "";

    /// <summary>Looks at the load average once more.</summary>
    public void Look()
    {
        var now = Average();
        if (_lowest.Length == 0 || Number(now) < Number(_lowest)) _lowest = now;
        if (_highest.Length == 0 || Number(now) > Number(_highest)) _highest = now;
    }

    /// <summary>Load averages of a minute, and the share of all processors' time that went to processes that are not of this run.</summary>
    public override string ToString()
    {
        var (busy, own, all) = Times();
        var others = all > _start.All ? (busy - _start.Busy - (own - _start.Own)) / (all - _start.All) : 0;
        return _before.Length == 0 ? "unknown"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"average {_before} before the run, {_lowest} to {_highest} during it; "
                + $"others had {Math.Max(0, others):P0} of the processors' time");
    }

    private static string Average() => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "";

    private static double Number(string text) => double.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>In the system's ticks: of all processes, of this one and its children that ended, and of all with idle ones.</summary>
    private static (double Busy, double Own, double All) Times()
    {
        if (!File.Exists("/proc/stat")) return default;
        var all = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..9].Select(Number).ToArray();
        var own = File.ReadAllText("/proc/self/stat");
        var fields = own[(own.LastIndexOf(')') + 2)..].Split(' ');
        // user, nice, system, idle, waiting, interrupts, …; utime, stime, cutime and cstime are fields 14 to 17 of all
        return (all.Sum() - all[3] - all[4], fields[11..15].Sum(Number), all.Sum());
    }
}
