using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Tessera.Cli.Tests;

[Collection(TinyRunCollection.Name)]
public sealed class InterruptionTests(TinyRun tiny)
{
    [LinuxFact]
    public void An_interrupt_saves_a_checkpoint_that_training_goes_on_from()
    {
        using var training = TesseraProcess.Start(
            tiny.Folder,
            [
                "train",
                "tiny.json",
                "--out",
                "stopped",
                "--json",
                "--set",
                "phases[0].steps=100000",
                "--set",
                "checkpoints.everySteps=100000",
            ]);
        var lines = new List<string>();
        while (training.StandardOutput.ReadLine() is { } line)
        {
            lines.Add(line);
            if (line.Contains("\"step\":5,", StringComparison.Ordinal)) Signals.Send(training, Signals.Interrupt);
        }

        training.WaitForExit();
        Assert.Equal((130, "tessera: stopped\n"), (training.ExitCode, training.StandardError.ReadToEnd()));
        using var stopped = JsonDocument.Parse(lines[^1]);
        using var saved = JsonDocument.Parse(lines[^2]);
        Assert.Equal("saved", saved.RootElement.GetProperty("event").GetString());
        var step = saved.RootElement.GetProperty("step").GetInt64();
        Assert.InRange(step, 5, 50_000);
        Assert.Equal("stopped", stopped.RootElement.GetProperty("event").GetString());
        Assert.Contains(step, stopped.RootElement.GetProperty("checkpoints").EnumerateArray()
            .Select(checkpoint => checkpoint.GetProperty("step").GetInt64()));

        // The command that was told, without the settings that the run was begun with; but for the length it would go on for long.
        var command = stopped.RootElement.GetProperty("resume").GetString()!.Split(' ');
        Assert.Equal(["tessera", "train", "stopped/recipe.json", "--out", "stopped", "--resume"], command);
        var resumed = tiny.Tessera([.. command[1..], "--json", "--set", $"phases[0].steps={step + 2}"]);
        Assert.Equal((0, ""), (resumed.Code, resumed.Error));
        using var prepared = JsonDocument.Parse(resumed.Lines[0]);
        Assert.Equal(step, prepared.RootElement.GetProperty("step").GetInt64());
        Assert.Equal(2, resumed.Lines.Count(line => line.StartsWith("{\"event\":\"step-done\"", StringComparison.Ordinal)));
        Assert.Equal(0, tiny.Tessera("generate", "stopped", "alpha").Code);
    }

    [LinuxFact]
    public void A_run_goes_on_with_its_own_settings_and_tells_what_the_recipe_says_otherwise()
    {
        using var training = TesseraProcess.Start(
            tiny.Folder, ["train", "tiny.json", "--out", "changed", "--set", "phases[0].steps=100000", "--set", "validation.everySteps=7"]);
        var output = training.StandardOutput;
        while (output.ReadLine() is { } line && !line.Contains("step 1 ", StringComparison.Ordinal)) { }
        Signals.Send(training, Signals.Terminate);
        var last = output.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        training.WaitForExit();
        Assert.Equal((130, "tessera: stopped\n"), (training.ExitCode, training.StandardError.ReadToEnd()));
        Assert.Equal("go on with: tessera train changed/recipe.json --out changed --resume", last[^1]);
        Assert.Matches("^checkpoints in changed/checkpoints: step \\d+", last[^2]);

        using var resumed = TesseraProcess.Start(tiny.Folder, ["train", "tiny.json", "--out", "changed", "--resume", "--json"]);
        var steps = 0;
        while (resumed.StandardOutput.ReadLine() is { } line)
            if (line.Contains("step-done", StringComparison.Ordinal) && ++steps == 20) Signals.Send(resumed, Signals.Interrupt);
        resumed.WaitForExit();
        Assert.InRange(steps, 20, 100_000); // not the six of the file
        Assert.Equal(
            "tessera: note: the run goes on with its own recipe, changed/recipe.json, in which phases[0].steps is 100000, not 6; "
            + "validation.everySteps is 7, not 3; how long its phases last can be changed with --set\ntessera: stopped\n",
            resumed.StandardError.ReadToEnd());
    }

    [LinuxTheory]
    [InlineData(Signals.Interrupt)]
    [InlineData(Signals.Terminate)]
    public void A_second_signal_does_not_disturb_the_save_of_the_first(int signal)
    {
        var name = $"twice-{signal}";
        using var training = Stop(name, signal);
        Signals.Send(training, signal);
        Assert.True(IsSaving(name), "the save was over before the second signal");
        var output = training.StandardOutput.ReadToEnd();
        training.WaitForExit();
        Assert.Equal(
            (130, "tessera: is stopping and saves first; a third signal ends it at once\ntessera: stopped\n"),
            (training.ExitCode, training.StandardError.ReadToEnd()));
        Assert.Contains($"saved {tiny.In(name, "checkpoints", "step-0000")}", output, StringComparison.Ordinal);
        Assert.False(IsSaving(name));
        var resumed = tiny.Tessera("train", $"{name}/recipe.json", "--out", name, "--resume", "--set", "phases[0].steps=1");
        Assert.Equal((0, ""), (resumed.Code, resumed.Error));
    }

    [LinuxFact]
    public void A_third_signal_ends_the_program_at_once()
    {
        using var training = Stop("thrice", Signals.Interrupt);
        Signals.Send(training, Signals.Interrupt);
        Signals.Send(training, Signals.Terminate);
        training.StandardOutput.ReadToEnd();
        training.WaitForExit();
        Assert.Equal(130, training.ExitCode);
        Assert.EndsWith("tessera: ended at once; what was being saved is lost\n", training.StandardError.ReadToEnd(), StringComparison.Ordinal);
        Assert.True(IsSaving("thrice"));
        Assert.Empty(Directory.GetDirectories(tiny.In("thrice", "checkpoints"), "step-*"));
    }

    /// <summary>Starts a run whose checkpoints are large, sends it a signal after its first step, and waits until it saves.</summary>
    private Process Stop(string name, int signal)
    {
        var training = TesseraProcess.Start(
            tiny.Folder,
            [
                "train", "tiny.json", "--out", name, "--set", "phases[0].steps=100000", "--set", "validation.everySteps=100000",
                "--set", "checkpoints.everySteps=100000", "--set", "model.decoder.feedForward={\"kind\":\"swiglu\",\"hidden\":100000}",
                "--set", "phases[0].losses={}",
            ]);
        while (training.StandardOutput.ReadLine() is { } line && !line.Contains("step 1 ", StringComparison.Ordinal)) { }
        Signals.Send(training, signal);
        while (!training.HasExited && !IsSaving(name)) Thread.Sleep(1);
        return training;
    }

    private bool IsSaving(string run) =>
        Directory.Exists(tiny.In(run, "checkpoints")) && Directory.GetDirectories(tiny.In(run, "checkpoints"), ".tmp-*").Length > 0;

    /// <summary>480 KiB hold two checkpoints and no finished model; 100 KiB not even the first checkpoint.</summary>
    [SmallDiskTheory]
    [InlineData("480k", "No space left on device", 2)]
    [InlineData("100k", "cannot save the checkpoint", 0)]
    public void A_full_disk_is_told_and_leaves_nothing_half_written(string size, string message, int checkpoints)
    {
        var disk = tiny.In($"disk-{size}");
        Directory.CreateDirectory(disk);
        SmallDisk.Mount(disk, size);
        try
        {
            var outcome = tiny.Tessera("train", "tiny.json", "--out", Path.Combine(disk, "run"));
            Assert.Equal(2, outcome.Code);
            Assert.StartsWith($"tessera: {message}", outcome.Error, StringComparison.Ordinal);
            Assert.Equal(1, outcome.Error.Count(character => character == '\n'));
            Assert.Equal(
                ["machine.json", "metrics.jsonl", "origin.txt", "recipe.json", "run.json", "tokenizer.json"],
                Directory.GetFiles(Path.Combine(disk, "run")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
            Assert.Equal(checkpoints, Directory.GetDirectories(Path.Combine(disk, "run", "checkpoints")).Length);
        }
        finally
        {
            SmallDisk.Unmount(disk);
        }
    }
}

/// <summary>A test of what only Linux's signals do.</summary>
public sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "sends signals as Linux does";
    }
}

/// <summary>As <see cref="LinuxFactAttribute"/>, for several cases.</summary>
public sealed class LinuxTheoryAttribute : TheoryAttribute
{
    public LinuxTheoryAttribute()
    {
        if (!OperatingSystem.IsLinux()) Skip = "sends signals as Linux does";
    }
}

/// <summary>Signals of Linux.</summary>
internal static partial class Signals
{
    public const int Interrupt = 2;

    public const int Terminate = 15;

    public static void Send(Process process, int signal) => Assert.Equal(0, Kill(process.Id, signal));

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}

/// <summary>A test that fills a disk made for it, where that is permitted.</summary>
public sealed class SmallDiskTheoryAttribute : TheoryAttribute
{
    private static readonly Lazy<bool> s_isPermitted = new(() =>
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess) return false;
        var folder = Directory.CreateTempSubdirectory("disk").FullName;
        var isMounted = SmallDisk.Mount(folder, "64k");
        if (isMounted) SmallDisk.Unmount(folder);
        Directory.Delete(folder);
        return isMounted;
    });

    public SmallDiskTheoryAttribute()
    {
        if (!s_isPermitted.Value) Skip = "needs the right to mount a small file system";
    }
}

/// <summary>A file system in memory of a given size.</summary>
internal static class SmallDisk
{
    public static bool Mount(string folder, string size) => Run("mount", "-t", "tmpfs", "-o", $"size={size}", "tmpfs", folder);

    public static void Unmount(string folder) => Assert.True(Run("umount", folder));

    private static bool Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
