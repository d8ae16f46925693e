using System.Diagnostics;
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
            if (line.Contains("\"step\":5,", StringComparison.Ordinal)) Process.Start("kill", ["-INT", $"{training.Id}"]).WaitForExit();
        }

        training.WaitForExit();
        Assert.Equal((130, "tessera: stopped\n"), (training.ExitCode, training.StandardError.ReadToEnd()));
        using var saved = JsonDocument.Parse(lines[^1]);
        Assert.Equal("saved", saved.RootElement.GetProperty("event").GetString());
        var step = saved.RootElement.GetProperty("step").GetInt64();
        Assert.InRange(step, 5, 50_000);

        var resumed = tiny.Tessera(
            "train", "tiny.json", "--out", "stopped", "--json", "--resume", "--set", $"phases[0].steps={step + 2}", "--set",
            "checkpoints.everySteps=100000");
        Assert.Equal((0, ""), (resumed.Code, resumed.Error));
        using var prepared = JsonDocument.Parse(resumed.Lines[0]);
        Assert.Equal(step, prepared.RootElement.GetProperty("step").GetInt64());
        Assert.Equal(2, resumed.Lines.Count(line => line.StartsWith("{\"event\":\"step-done\"", StringComparison.Ordinal)));
        Assert.Equal(0, tiny.Tessera("generate", "stopped", "alpha").Code);
    }

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
