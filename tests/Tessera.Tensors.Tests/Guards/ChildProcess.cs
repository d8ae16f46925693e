using System.Diagnostics;

namespace Tessera.Tensors.Tests.Guards;

/// <summary>This assembly run as a process of its own, with settings that a process can have only one of, or that it may not
/// survive.</summary>
internal static class ChildProcess
{
    /// <summary>What its lines begin with.</summary>
    public const string Begins = "> ", Fails = "! ", Ends = "= ";

    /// <summary>What became of a process.</summary>
    /// <param name="Died">The line it last began, where it ended otherwise than by returning 0 or 1; with the crash's report.</param>
    /// <param name="Cases">How many cases it began.</param>
    /// <param name="Failures">What failed without killing it.</param>
    /// <param name="Summary">Its level and threads, where it came to its end.</param>
    public sealed record Outcome(string? Died, int Cases, string[] Failures, string? Summary);

    /// <summary>Runs cases of operations; where the process dies, what it died of is noted and those operations that follow run in
    /// another.</summary>
    public static Outcome Fuzz(
        ulong first, ulong count, IReadOnlyCollection<string> operations, params ReadOnlySpan<(string Name, string Value)> settings)
    {
        var (died, cases, failures, summary) = ("", 0, new List<string>(), (string?)null);
        var remaining = operations.ToArray();
        while (remaining.Length > 0)
        {
            var outcome = Run(["fuzz", $"{first}", $"{count}", .. remaining], settings);
            cases += outcome.Cases;
            failures.AddRange(outcome.Failures);
            summary = outcome.Summary ?? summary;
            if (outcome.Died is null) break;
            died += outcome.Died + Environment.NewLine;
            var last = Array.FindIndex(remaining, operation => outcome.Died.StartsWith(operation + ' ', StringComparison.Ordinal));
            if (last < 0) break;
            remaining = remaining[(last + 1)..];
        }

        return new Outcome(died == "" ? null : died, cases, [.. failures], summary);
    }

    /// <summary>Runs the program with these arguments.</summary>
    public static Outcome Run(string[] arguments, params ReadOnlySpan<(string Name, string Value)> settings)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(ChildProcess).Assembly.Location, .. arguments])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        foreach (var (name, value) in settings) start.Environment[name] = value;
        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var (last, cases, failures, summary) = ("", 0, new List<string>(), (string?)null);
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (line.StartsWith(Begins, StringComparison.Ordinal)) (last, cases) = (line[Begins.Length..], cases + 1);
            if (line.StartsWith(Fails, StringComparison.Ordinal)) failures.Add(line[Fails.Length..]);
            if (line.StartsWith(Ends, StringComparison.Ordinal)) summary = line[Ends.Length..];
        }

        process.WaitForExit();
        var died = process.ExitCode is 0 or 1
            ? null
            : $"{last}: exit code {process.ExitCode}: {string.Join(" | ", errors.Result.Split('\n').Take(8))}";
        return new Outcome(died, cases, [.. failures], summary);
    }
}
