using System.Diagnostics;
using System.Text.Json;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Text.Templates;

namespace Tessera.Benchmarks.Fuzz;

/// <summary>Runs the cases of one reader; prints a line of JSON for each case, and one for each failure.</summary>
internal sealed class FuzzChild(FuzzSubject subject, string folder, int seed)
{
    /// <summary>The exit code after a case that took too long.</summary>
    public const int HangCode = 77;

    /// <summary>What a case may allocate: the largest seed has half a megabyte.</summary>
    private const long MaxBytes = 64 << 20;

    private readonly Process _process = Process.GetCurrentProcess();
    private long _started;

    /// <summary>How long one case may take.</summary>
    public static TimeSpan Patience => TimeSpan.FromSeconds(30);

    public static void Run(string name, string fixtures, int start, int end, int seed)
    {
        var folder = Directory.CreateTempSubdirectory("tessera-fuzz-");
        try
        {
            new FuzzChild(FuzzSubject.All(fixtures).Single(subject => subject.Name == name), folder.FullName, seed).Run(start, end);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private void Run(int start, int end)
    {
        using var watch = new Timer(_ => LookAtTheClock(), null, Patience, TimeSpan.FromSeconds(1));
        for (var number = start; number < end; number++)
        {
            Console.WriteLine(JsonSerializer.Serialize(new { next = number + 1, counts = Case(number) }));
        }
    }

    private FuzzCounts Case(int number)
    {
        var random = new Random(unchecked((seed * 1_000_003) + number));
        var place = subject.Damage(folder, random);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Volatile.Write(ref _started, Stopwatch.GetTimestamp());
        var (read, refused, crashes, vague, outcome) = (0, 0, 0, 0, "read");
        try
        {
            subject.Read(place);
            read = 1;
        }
        catch (Exception error)
            when (error
                    is InvalidDataException
                        or FileNotFoundException
                        or DirectoryNotFoundException
                        or RecipeException
                        or TemplateException
            )
        {
            outcome = error.Message;
            if (!subject.NamesFile || error is RecipeException || error.Message.Contains(folder, StringComparison.Ordinal)) refused = 1;
            else vague = Fail(number, $"does not name the file: {error.Message}");
        }
        catch (Exception error) // anything else is what is looked for
        {
            crashes = Fail(number, error.ToString());
        }

        Volatile.Write(ref _started, 0);
        var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        var greedy = bytes > MaxBytes ? Fail(number, $"took {bytes} bytes: {outcome}") : 0;
        _process.Refresh();
        return new FuzzCounts
        {
            Cases = 1, Read = read, Refused = refused, Crashes = crashes, Vague = vague, Greedy = greedy,
            MaxBytes = bytes, PeakBytes = _process.PeakWorkingSet64,
        };
    }

    private static int Fail(int number, string failure)
    {
        Console.WriteLine(JsonSerializer.Serialize(new { @case = number, failure }));
        return 1;
    }

    private void LookAtTheClock()
    {
        if (Volatile.Read(ref _started) is not 0 and var started && Stopwatch.GetElapsedTime(started) > Patience)
            Environment.Exit(HangCode);
    }
}
