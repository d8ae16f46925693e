using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;

namespace Tessera.Benchmarks;

/// <summary>Kills a training run at random moments until it is through, and compares its weights with those of an undisturbed
/// run.</summary>
internal sealed class KillResumeBenchmark(string program, string recipe, string folder)
{
    private const int Steps = 420;

    /// <summary>Runs the comparison; 0 where the weights are the same bits.</summary>
    /// <param name="program">The path of <c>tessera.dll</c>.</param>
    /// <param name="recipe">The path of <c>recipes/quickstart.json</c>, of which a smaller model is trained.</param>
    /// <param name="kills">How often the run is killed.</param>
    public static int Run(string program, string recipe, int kills)
    {
        var folder = Directory.CreateTempSubdirectory("tessera-kill-");
        try
        {
            return new KillResumeBenchmark(program, recipe, folder.FullName).Compare(kills);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private int Compare(int kills)
    {
        NumberPairs.Write(folder);
        if (Train("whole", resume: false) != 0) throw new InvalidOperationException("the undisturbed run failed");

        var random = new Random();
        for (var kill = 1; kill <= kills; kill++)
        {
            // Every fourth may come before the first step, the others anywhere in the next steps.
            var (lines, pause) = kill % 4 == 1 ? (0, random.Next(50, 2500)) : (random.Next(1, Steps / (kills + 1)), random.Next(0, 60));
            var code = Train("killed", resume: kill > 1, lines, pause);
            Print(new { kill, lines, pause, code, left = Left() });
        }

        var last = Train("killed", resume: true);
        var (whole, killed) = (Hash("whole"), Hash("killed"));
        Print(new { kills, last, same = whole == killed, whole, killed });
        return whole == killed ? 0 : 1;
    }

    /// <summary>Trains, and kills the process so many milliseconds after so many lines (a line an event).</summary>
    private int Train(string run, bool resume, int lines = int.MaxValue, int? pause = null)
    {
        string[] arguments =
        [
            program, "train", recipe, "--out", In(run), "--data", folder, "--json", .. resume ? ["--resume"] : Array.Empty<string>(),
            .. Settings().SelectMany(setting => new[] { "--set", setting }),
        ];
        using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
        for (var line = 0; line < lines && process.StandardOutput.ReadLine() is not null; line++) { }
        if (pause is { } milliseconds && !process.WaitForExit(milliseconds)) process.Kill(); // SIGKILL
        process.WaitForExit();
        return process.ExitCode;
    }

    private static IEnumerable<string> Settings() =>
    [
        .. NumberPairs.Settings, "model.width=96", "model.encoder.hidden=48",
        "model.decoder.layers=2", "model.decoder.dropout=0.1", "model.decoder.feedForward.expert.hidden=96", "batches.tokens=256",
        "phases[0].minutes=null", $"phases[0].steps={Steps}", "checkpoints.everySteps=5", "validation.everySteps=20",
    ];

    /// <summary>What a killed run left: its checkpoints, and those it was writing.</summary>
    private string[] Left() => Directory.Exists(In("killed/checkpoints"))
        ? [.. Directory.GetFileSystemEntries(In("killed/checkpoints")).Select(path => Path.GetFileName(path)).Order()]
        : [];

    private string Hash(string run) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(In($"{run}/model.safetensors"))));

    private string In(string name) => Path.Combine(folder, name);

    private static void Print(object line) => Console.WriteLine(JsonSerializer.Serialize(line));
}
