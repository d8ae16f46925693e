using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Tessera.Benchmarks.Peers;

/// <summary>What a child process printed, a JSON object a line, and the most memory it held.</summary>
internal sealed record ChildResult(IReadOnlyList<JsonElement> Lines, long PeakBytes);

/// <summary>A comparison cannot be made here; the message says why.</summary>
internal sealed class NotHereException(string message) : Exception(message);

/// <summary>One side of a comparison that has a process of its own.</summary>
internal static class Child
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);

    /// <summary>Runs a program to its end.</summary>
    /// <exception cref="NotHereException">It is missing, fails, or prints something else than lines of JSON.</exception>
    public static ChildResult Run(string program, params IReadOnlyList<string> arguments) => RunWithout([], program, arguments);

    /// <summary>Runs a program to its end without the environment variables that begin with any of some prefixes.</summary>
    /// <exception cref="NotHereException">It is missing, fails, or prints something else than lines of JSON.</exception>
    public static ChildResult RunWithout(IReadOnlyList<string> prefixes, string program, IReadOnlyList<string> arguments)
    {
        var name = $"{Path.GetFileName(program)} {string.Join(' ', arguments.Select(Path.GetFileName))}";
        using var process = Start(prefixes, program, arguments);
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        var (peak, clock) = (0L, Stopwatch.StartNew());
        while (!process.WaitForExit(20))
        {
            process.Refresh();
            peak = Math.Max(peak, Peak(process));
            if (clock.Elapsed < s_patience) continue;
            process.Kill();
            throw new NotHereException($"{name} was not done after {s_patience.TotalMinutes} minutes");
        }

        if (process.ExitCode != 0) throw new NotHereException($"{name} failed: {LastLine(errors.Result)}");
        return new ChildResult(
            [.. output.Result.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => Parse(name, line))], peak);
    }

    /// <summary>Runs another command of this program.</summary>
    public static ChildResult RunOwn(params IReadOnlyList<string> arguments) =>
        Run("dotnet", [typeof(Child).Assembly.Location, .. arguments]);

    /// <summary>Runs another command of this program with a number of threads.</summary>
    public static ChildResult RunOwnWithThreads(int threads, params IReadOnlyList<string> arguments)
    {
        const string Name = "TESSERA_THREADS"; // read once at start: setting it here concerns children only
        var before = Environment.GetEnvironmentVariable(Name);
        Environment.SetEnvironmentVariable(Name, threads.ToString(CultureInfo.InvariantCulture));
        try
        {
            return RunOwn(arguments);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Name, before);
        }
    }

    private static Process Start(IReadOnlyList<string> prefixes, string program, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in start.Environment.Keys.ToList())
            if (prefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal))) start.Environment.Remove(name);
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw new NotHereException($"{program} cannot be started: {error.Message}");
        }
    }

    /// <summary>The most memory that was resident so far; a process that has just ended has none.</summary>
    private static long Peak(Process process)
    {
        try
        {
            return process.PeakWorkingSet64;
        }
        catch (InvalidOperationException)
        {
            return 0;
        }
    }

    private static JsonElement Parse(string name, string line)
    {
        try
        {
            return JsonDocument.Parse(line).RootElement;
        }
        catch (JsonException)
        {
            throw new NotHereException($"{name} printed '{(line.Length > 80 ? line[..80] : line)}', which is not JSON");
        }
    }

    private static string LastLine(string text) => text.TrimEnd().Split('\n')[^1] is { Length: > 0 } line ? line : "it says nothing";
}
