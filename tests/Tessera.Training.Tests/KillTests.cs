using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Tessera.Training.Tests;

/// <summary>The command line, killed.</summary>
public sealed class KillTests : IDisposable
{
    private readonly TrainingFolder _folder = new(pairs: 200);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_killed_at_random_moments_reaches_the_bits_of_an_undisturbed_one()
    {
        WriteRecipe(steps: 400, "checkpoints.everySteps=20", "validation.everySteps=50");
        var whole = Stopwatch.StartNew();
        Assert.Equal(0, Run("whole", resume: false, killAfter: null));
        var seconds = whole.Elapsed.TotalSeconds;

        var random = new Random(); // any moment will do
        var moments = Enumerable.Range(0, 2).Select(_ => TimeSpan.FromSeconds(seconds * (0.2 + (0.7 * random.NextDouble())))).ToList();
        for (var kill = 0; kill < moments.Count; kill++) Run("killed", resume: kill > 0, moments[kill]);
        Assert.Equal(0, Run("killed", resume: true, killAfter: null));
        Assert.True(_folder.Weights("whole") == _folder.Weights("killed"), $"killed after {string.Join(" and ", moments)}");
        Assert.Equal(Steps("whole"), Steps("killed"));
    }

    [Fact]
    public void A_run_killed_during_preparation_starts_again_as_if_nothing_had_been()
    {
        WriteRecipe(steps: 5);
        Run("killed", resume: false, TimeSpan.FromMilliseconds(60)); // the runtime alone takes as long
        Assert.False(Directory.Exists(_folder.In("killed")));
        Assert.Equal(0, Run("killed", resume: true, killAfter: null));
        Assert.Equal(0, Run("whole", resume: false, killAfter: null));
        Assert.Equal(_folder.Weights("whole"), _folder.Weights("killed"));
        Assert.Equal(2, Run("whole", resume: false, killAfter: null)); // refused: it holds a run
    }

    private void WriteRecipe(int steps, params string[] settings) =>
        File.WriteAllText(_folder.In("tiny.json"), TrainingFolder.Recipe([$"phases[0].steps={steps}", .. settings]).ToJson());

    /// <summary>Runs <c>tessera train</c> and gives its exit code.</summary>
    private int Run(string run, bool resume, TimeSpan? killAfter)
    {
        string[] arguments = [CommandLine(), "train", _folder.In("tiny.json"), "--out", _folder.In(run), "--data", _folder.Path, .. resume ? ["--resume"] : Array.Empty<string>()];
        using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEndAsync();
        if (killAfter is { } moment && !process.WaitForExit(moment)) process.Kill(); // SIGKILL
        if (!process.WaitForExit(TimeSpan.FromMinutes(1)))
        {
            process.Kill();
            Assert.Fail($"still running after a minute: {output.Result}");
        }

        Assert.DoesNotContain("defect", errors.Result, StringComparison.Ordinal);
        return process.ExitCode;
    }

    /// <summary>The program as built with these tests: <c>src/Tessera.Cli/bin/Release/net10.0/tessera.dll</c>.</summary>
    private static string CommandLine()
    {
        var framework = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var configuration = framework.Parent!;
        var root = configuration.Parent!.Parent!.Parent!.Parent!; // bin, the project, tests, the repository
        return Path.Combine(root.FullName, "src", "Tessera.Cli", "bin", configuration.Name, framework.Name, "tessera.dll");
    }

    private IEnumerable<(string, long)> Steps(string run) => File.ReadLines(_folder.In($"{run}/metrics.jsonl"))
        .Select(line => JsonNode.Parse(line)!.AsObject()).Select(line => ((string)line["event"]!, (long)line["step"]!));
}
