using System.Globalization;
using System.Diagnostics;
using System.Text.Json;

namespace Tessera.Benchmarks.Fuzz;

/// <summary>
/// <c>fuzz</c>: damages files of every format that Tessera reads and reads them. Each must be read, or refused with an error that
/// names the file; nothing may crash, hang, or take memory out of proportion. Readers run in a process of their own, so that a
/// crash that no exception announces is one more line and not the end.
/// </summary>
internal static class FuzzCommand
{
    public const string Usage = "CASES [--fixtures FOLDER] [--seed NUMBER] [--readers NAME,…]";

    /// <summary>Runs the cases, shared out evenly, and prints a table; 0 where nothing went wrong.</summary>
    public static int Run(IReadOnlyList<string> arguments)
    {
        var (cases, folder, seed, names) = Options(arguments);
        var subjects = FuzzSubject.All(folder).Where(subject => names is null || names.Contains(subject.Name)).ToList();
        if (subjects.Count == 0)
            throw new ArgumentException(
                $"fuzz: no such reader; allowed: {string.Join(", ", FuzzSubject.All(folder).Select(subject => subject.Name))}");
        Console.WriteLine(
            "| reader | cases | read | refused | crashes | hangs | vague errors | too much memory | most managed MiB a case | peak MiB of the process |"
        );
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
        var total = new FuzzCounts();
        for (var index = 0; index < subjects.Count; index++)
        {
            var (first, last) = ((long)cases * index / subjects.Count, (long)cases * (index + 1) / subjects.Count);
            var counts = Cases(subjects[index], (int)(last - first), folder, seed);
            Console.WriteLine(counts.Row(subjects[index].Name));
            total = total.Plus(counts);
        }

        Console.WriteLine(total.Row("all"));
        return total.Failures == 0 ? 0 : 1;
    }

    private static FuzzCounts Cases(FuzzSubject subject, int cases, string folder, int seed)
    {
        var counts = new FuzzCounts();
        for (var start = 0; start < cases;)
        {
            var (lines, code) = Child(subject.Name, folder, start, cases, seed);
            var done = start;
            foreach (var line in lines)
            {
                if (line.TryGetProperty("failure", out var failure))
                    Console.Error.WriteLine($"{subject.Name}, case {line.GetProperty("case")}: {failure}");
                if (!line.TryGetProperty("counts", out var part)) continue;
                (counts, done) = (counts.Plus(part.Deserialize<FuzzCounts>()!), line.GetProperty("next").GetInt32());
            }

            if (code == 0) break;
            // The case after the last that was reported took the process with it.
            Console.Error.WriteLine($"{subject.Name}, case {done}: the process ended with code {code}");
            counts = counts.Plus(
                code == FuzzChild.HangCode ? new FuzzCounts { Cases = 1, Hangs = 1 } : new FuzzCounts { Cases = 1, Crashes = 1 });
            start = done + 1;
        }

        return counts;
    }

    private static (List<JsonElement> Lines, int Code) Child(string subject, string folder, int start, int end, int seed)
    {
        var lines = new List<JsonElement>();
        string[] arguments = [typeof(FuzzCommand).Assembly.Location, "fuzz-child", subject, folder, Text(start), Text(end), Text(seed)];
        using var process = Process.Start(
            new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        while (process.StandardOutput.ReadLine() is { } line)
            if (line.StartsWith('{')) lines.Add(JsonDocument.Parse(line).RootElement);
        process.WaitForExit();
        return (lines, process.ExitCode);

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }

    private static (int Cases, string Folder, int Seed, string[]? Names) Options(IReadOnlyList<string> arguments)
    {
        var (folder, seed, names) = ((string?)null, 1, (string[]?)null);
        for (var i = 1; i < arguments.Count; i += 2)
        {
            var value =
                i + 1 < arguments.Count
                    ? arguments[i + 1]
                    : throw new ArgumentException($"fuzz: {arguments[i]} has no value; usage: {Usage}");
            switch (arguments[i])
            {
                case "--fixtures": folder = value; break;
                case "--seed": seed = int.Parse(value, CultureInfo.InvariantCulture); break;
                case "--readers": names = value.Split(','); break;
                default: throw new ArgumentException($"fuzz: '{arguments[i]}' is no option; usage: {Usage}");
            }
        }

        return (int.Parse(arguments[0], CultureInfo.InvariantCulture), folder ?? Fixtures(), seed, names);
    }

    private static string Fixtures()
    {
        for (var place = new DirectoryInfo(Environment.CurrentDirectory); place is not null; place = place.Parent)
            if (Path.Combine(place.FullName, "shared", "fixtures") is var folder && Directory.Exists(folder)) return folder;
        throw new DirectoryNotFoundException("fuzz: no folder shared/fixtures here or above; name one with --fixtures");
    }
}
