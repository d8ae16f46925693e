using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Tessera.Training.Tests;

/// <summary>The command line, killed.</summary>
public sealed class KillTests : IDisposable
{
    private readonly TrainingFolder _folder = new(pairs: 200);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("phases[0].length=32")]
    [InlineData("""phases[0].length={"from":6,"to":30}""")]
    public void A_run_killed_at_random_moments_reaches_the_bits_of_an_undisturbed_one(string length)
    {
        const int Steps = 150;
        WriteRecipe(Steps, "checkpoints.everySteps=10", "validation.everySteps=50", length);
        Assert.Equal(0, Run("whole", resume: false));
        var random = new Random(); // any moment will do
        var moments = Enumerable.Range(0, 2).Select(_ => new Moment(random.Next(1, Steps / 3), random.Next(0, 20))).ToList();
        foreach (var moment in moments) Assert.Equal(128 + 9, Run("killed", resume: moment != moments[0], moment));
        Assert.Equal(0, Run("killed", resume: true));
        Assert.True(_folder.Weights("whole") == _folder.Weights("killed"), $"killed after {string.Join(" and ", moments)}");
        Assert.Equal(LoggedSteps("whole"), LoggedSteps("killed"));
    }

    [Fact]
    public void A_run_killed_during_preparation_starts_again_as_if_nothing_had_been()
    {
        WriteRecipe(steps: 5);
        Assert.Equal(128 + 9, Run("killed", resume: false, new Moment(Lines: 0, Milliseconds: 60))); // the runtime's start alone takes as long
        Assert.False(File.Exists(_folder.In("killed/recipe.json")));
        Assert.Equal(0, Run("killed", resume: true));
        Assert.Equal(0, Run("whole", resume: false));
        Assert.Equal(_folder.Weights("whole"), _folder.Weights("killed"));
        Assert.Equal(2, Run("whole", resume: false)); // refused: it holds a run
    }

    private void WriteRecipe(int steps, params string[] settings) =>
        File.WriteAllText(_folder.In("tiny.json"), TrainingFolder.Recipe([$"phases[0].steps={steps}", .. settings]).ToJson());

    /// <summary>Runs <c>tessera train</c>, kills it at a moment, and gives its exit code.</summary>
    private int Run(string run, bool resume, Moment? killAt = null)
    {
        string[] arguments =
        [
            CommandLine(),
            "train",
            _folder.In("tiny.json"),
            "--out",
            _folder.In(run),
            "--data",
            _folder.Path,
            "--json",
            .. resume ? ["--resume"] : Array.Empty<string>(),
        ];
        using var process = Process.Start(
            new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        for (var line = 0; line < (killAt?.Lines ?? int.MaxValue) && process.StandardOutput.ReadLine() is not null; line++) { }
        if (killAt is { Milliseconds: var pause } && !process.WaitForExit(pause)) process.Kill(); // SIGKILL
        process.WaitForExit();
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

    private IEnumerable<(string, long)> LoggedSteps(string run) => File.ReadLines(_folder.In($"{run}/metrics.jsonl"))
        .Select(line => JsonNode.Parse(line)!.AsObject()).Select(line => ((string)line["event"]!, (long)line["step"]!));

    /// <summary>So long after so many lines were printed, a line an event.</summary>
    private sealed record Moment(int Lines, int Milliseconds);
}
