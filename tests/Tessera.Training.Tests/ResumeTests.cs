using System.Diagnostics;
using System.Text.Json;
using Tessera.Nn;
using Tessera.Training.Checkpoints;

namespace Tessera.Training.Tests;

public sealed class ResumeTests : IDisposable
{
    private readonly TrainingFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(3)] // before the first checkpoint
    [InlineData(5)] // right at one
    [InlineData(9)]
    [InlineData(12)]
    public void A_run_that_crashed_reaches_the_bits_and_the_log_of_an_undisturbed_one(int after)
    {
        var recipe = TrainingFolder.Recipe("validation.everySteps=4", "phases[0].accumulate=2");
        recipe = recipe with
        {
            Phases = [recipe.Phases[0] with { Steps = 7 }, recipe.Phases[0] with { Name = "second", Steps = 5, LearningRate = 1e-3 }],
        };
        _folder.Train(recipe, "whole");
        _folder.Crash(recipe, after);
        _folder.Train(recipe, resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
        Assert.Equal(LoggedSteps("whole"), LoggedSteps("run"));
    }

    [Fact]
    public void A_run_may_crash_many_times()
    {
        _folder.Train(TrainingFolder.TextRecipe("phases[0].steps=30", "checkpoints.everySteps=1"), "whole");
        var recipe = TrainingFolder.TextRecipe("phases[0].steps=30", "checkpoints.everySteps=3", "checkpoints.keep=1");
        _folder.Crash(recipe, 2);
        foreach (var after in (long[])[4, 11, 12, 25]) _folder.Crash(recipe, after, resume: true);
        _folder.Train(recipe, resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
    }

    [Fact]
    public void A_run_that_goes_on_otherwise_than_it_began_says_so_once()
    {
        var recipe = TrainingFolder.Recipe("checkpoints.everySteps=2");
        _folder.Crash(recipe, 5);
        Assert.DoesNotContain(Resumed(recipe, 7), happened => happened is MachineChanged);
        var machine = _folder.In("run/machine.json");
        var found = $"\"threads\": {Tessera.Tensors.Processor.Threads}";
        Assert.Contains(found, File.ReadAllText(machine), StringComparison.Ordinal);
        File.WriteAllText(machine, File.ReadAllText(machine).Replace(found, "\"threads\": 77", StringComparison.Ordinal));
        var changed = Assert.Single(Resumed(recipe, 9).OfType<MachineChanged>());
        Assert.Equal(6, changed.Step);
        Assert.Contains("77 threads", changed.Before, StringComparison.Ordinal);
        Assert.DoesNotContain("77 threads", changed.Now, StringComparison.Ordinal);
        Assert.DoesNotContain(Resumed(recipe, 11), happened => happened is MachineChanged);

        var other = TrainingFolder.Recipe("checkpoints.everySteps=2", "phases[0].precision=bf16");
        changed = Assert.Single(_folder.Train(other, resume: true).OfType<MachineChanged>());
        Assert.Contains("products in bf16", changed.Now, StringComparison.Ordinal);
        Assert.EndsWith("products in f32", changed.Before, StringComparison.Ordinal);

        List<TrainingEvent> Resumed(Recipe resumed, long crashAfter)
        {
            var events = new List<TrainingEvent>();
            Assert.Throws<TrainingFolder.CrashException>(() => _folder.Train(resumed, resume: true, also: happened =>
            {
                events.Add(happened);
                if (happened is StepDone { Step: var step } && step == crashAfter) throw new TrainingFolder.CrashException();
            }));
            return events;
        }
    }

    [Fact]
    public void Cancelling_saves_a_checkpoint_and_the_run_goes_on_from_there()
    {
        _folder.Train(TrainingFolder.Recipe(), "whole");
        using var source = new CancellationTokenSource();
        var events = new List<TrainingEvent>();
        Assert.Throws<OperationCanceledException>(() => _folder.Train(TrainingFolder.Recipe(), cancellation: source.Token, also: happened =>
        {
            events.Add(happened);
            if (happened is StepDone { Step: 8 }) source.Cancel();
        }));
        Assert.Equal(8, Assert.IsType<Saved>(events[^1]).Step);
        Assert.False(File.Exists(_folder.In("run/model.safetensors")));
        var resumed = _folder.Train(TrainingFolder.Recipe(), resume: true);
        Assert.Equal(8, Assert.IsType<Prepared>(resumed[0]).Step);
        Assert.Equal(4, resumed.OfType<StepDone>().Count());
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
    }

    [Fact]
    public void A_folder_that_holds_a_run_is_refused_without_resume()
    {
        _folder.Crash(TrainingFolder.Recipe(), 6);
        var error = Assert.Throws<IOException>(() => _folder.Train(TrainingFolder.Recipe()));
        Assert.Contains("already holds a run", error.Message, StringComparison.Ordinal);
        Assert.Equal(5, Newest().Step);
    }

    [Fact]
    public void Changed_data_is_refused_and_the_run_stays_as_it_was()
    {
        _folder.Train(TrainingFolder.Recipe(), "whole");
        _folder.Crash(TrainingFolder.Recipe(), 6);
        _folder.WritePairs("train.jsonl", 1, 60);
        var message = Assert.Throws<InvalidDataException>(() => _folder.Train(TrainingFolder.Recipe(), resume: true)).Message;
        Assert.Contains("trained on other data", message, StringComparison.Ordinal);
        _folder.WritePairs("train.jsonl", 0, 60);
        _folder.Train(TrainingFolder.Recipe(), resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
    }

    [Fact]
    public void A_damaged_newest_checkpoint_is_passed_over()
    {
        var recipe = TrainingFolder.Recipe("checkpoints.keep=2");
        _folder.Train(recipe, "whole");
        _folder.Crash(recipe, 11);
        var newest = Newest();
        var weights = newest.File("model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        bytes[^3] ^= 0x10;
        File.WriteAllBytes(weights, bytes);
        var events = _folder.Train(recipe, resume: true);
        Assert.Contains("has been changed", Assert.IsType<CheckpointPassedOver>(events[0]).Problem, StringComparison.Ordinal);
        Assert.Equal(newest.Step - 5, Assert.IsType<Prepared>(events[1]).Step);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
        Assert.Equal(LoggedSteps("whole"), LoggedSteps("run"));
    }

    [Fact]
    public void A_checkpoint_saved_under_a_damaged_newer_one_stays()
    {
        var recipe = TrainingFolder.Recipe("checkpoints.keep=2", "checkpoints.everySteps=5");
        _folder.Train(recipe, "whole");
        _folder.Crash(recipe, 11);
        File.Delete(Newest().File("state.json"));
        using var source = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => _folder.Train(recipe, resume: true, cancellation: source.Token, also: happened =>
        {
            if (happened is StepDone { Step: 7 }) source.Cancel();
        }));
        Assert.Equal(7, Newest().Step);
        Assert.Equal(7, _folder.Train(recipe, resume: true).OfType<Prepared>().Single().Step);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights());
    }

    [Fact]
    public void Two_trainings_in_one_folder_are_refused()
    {
        var recipe = TrainingFolder.Recipe();
        var refused = "";
        _folder.Train(recipe, also: happened =>
        {
            if (happened is StepDone { Step: 1 }) refused = Assert.Throws<IOException>(() => _folder.Train(recipe, resume: true)).Message;
        });
        Assert.StartsWith("another process is training in '", refused, StringComparison.Ordinal);
    }

    [Fact]
    public void A_finished_run_is_not_made_longer()
    {
        _folder.Train(TrainingFolder.Recipe());
        var own = File.ReadAllText(_folder.In("run/recipe.json"));
        var error = Assert.Throws<RecipeException>(() => _folder.Train(TrainingFolder.Recipe("phases[0].steps=20"), resume: true));
        Assert.Equal("phases[0].steps", error.Path);
        Assert.Contains("has finished after step 12; begin a new run that starts from its model", error.Message, StringComparison.Ordinal);
        Assert.Equal(own, File.ReadAllText(_folder.In("run/recipe.json")));
    }

    [Fact]
    public void Resuming_a_finished_run_does_nothing_and_keeps_the_model()
    {
        _folder.Train(TrainingFolder.Recipe());
        var (weights, config, log) = (
            _folder.Weights(), TrainingFolder.Hash(_folder.In("run/config.json")), File.ReadAllText(_folder.In("run/metrics.jsonl")));
        var events = _folder.Train(TrainingFolder.Recipe(), resume: true);
        Assert.Empty(events.OfType<StepDone>());
        Assert.Empty(events.OfType<Validated>());
        Assert.Equal(weights, _folder.Weights());
        Assert.Equal(config, TrainingFolder.Hash(_folder.In("run/config.json")));
        Assert.Equal(log, File.ReadAllText(_folder.In("run/metrics.jsonl")));
    }

    [Theory]
    [InlineData()]
    [InlineData("tokenizer.json")]
    [InlineData("tokenizer.json", "origin.txt")]
    public void A_run_killed_while_it_was_prepared_can_be_started_with_and_without_resume(params string[] left)
    {
        _folder.Train(TrainingFolder.Recipe(), "whole");
        foreach (var resume in (bool[])[false, true])
        {
            var run = $"run-{resume}";
            Directory.CreateDirectory(_folder.In(run));
            foreach (var file in left) File.Copy(_folder.In($"whole/{file}"), _folder.In($"{run}/{file}"));
            _folder.Train(TrainingFolder.Recipe(), run, resume);
            Assert.Equal(_folder.Weights("whole"), _folder.Weights(run));
            foreach (var file in (string[])["recipe.json", "origin.txt", "tokenizer.json", "config.json"])
                Assert.Equal(File.ReadAllText(_folder.In($"whole/{file}")), File.ReadAllText(_folder.In($"{run}/{file}")));
        }
    }

    [Fact]
    public void The_log_is_one_JSON_object_a_line_and_reads_back()
    {
        _folder.Train(TrainingFolder.Recipe("phases[0].steps=20", "validation.everySteps=10"));
        var path = _folder.In("run/metrics.jsonl");
        Assert.All(File.ReadLines(path), line => Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(line).RootElement.ValueKind));
        var events = MetricsLog.Read(path);
        Assert.Equal([10L, 20], events.OfType<StepDone>().Select(done => done.Step));
        Assert.Equal([10L, 20], events.OfType<Validated>().Select(done => done.Step));
        File.AppendAllText(path, """{"event":"step-done","st""");
        Assert.Equal(4, MetricsLog.Read(path).Count);
        MetricsLog.Cut(path, 15);
        Assert.Equal([10L, 10], MetricsLog.Read(path).Select(happened => (happened as StepDone)?.Step ?? ((Validated)happened).Step));
    }

    [SmallDiskFact]
    public void A_disk_that_fills_up_leaves_the_last_checkpoint_and_with_more_room_the_run_goes_on()
    {
        var recipe = TrainingFolder.Recipe("phases[0].steps=20", "checkpoints.everySteps=5");
        _folder.Train(recipe, "whole");
        using var disk = new SmallDisk(_folder.In("disk"), kilobytes: 280); // two checkpoints of 90 KB and no third
        var error = Assert.Throws<IOException>(() => _folder.Train(recipe, "disk/run"));
        Assert.Matches("cannot save the checkpoint .*step-0000000(10|15).* needs at least \\d+ bytes, \\d+ are free", error.Message);
        var store = new CheckpointStore(_folder.In("disk/run/checkpoints"));
        Assert.InRange(store.Latest(damaged: failure => Assert.Fail(failure.Message))!.Step, 5, 10);
        Assert.DoesNotContain(Directory.GetDirectories(store.Folder), path => path.Contains(".tmp-", StringComparison.Ordinal));
        disk.Resize(kilobytes: 4096);
        _folder.Train(recipe, "disk/run", resume: true);
        Assert.Equal(_folder.Weights("whole"), _folder.Weights("disk/run"));
    }

    private Checkpoint Newest() => new CheckpointStore(_folder.In("run/checkpoints")).Latest()!;

    /// <summary>What the log says, without the speeds.</summary>
    private IEnumerable<(long Step, double? Loss)> LoggedSteps(string run) => MetricsLog.Read(_folder.In($"{run}/metrics.jsonl"))
            .Select(happened =>
                happened is Validated validated ? (validated.Step, (double?)validated.Loss) : (((StepDone)happened).Step, null)
            );
}

/// <summary>A disk of a few kilobytes in memory.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly string _folder;

    public SmallDisk(string folder, int kilobytes)
    {
        _folder = Directory.CreateDirectory(folder).FullName;
        if (!Run("mount", "-t", "tmpfs", "-o", $"size={kilobytes}k", "tmpfs", _folder))
            throw new IOException($"cannot mount a tmpfs at {folder}");
    }

    /// <summary>Whether this process may mount one.</summary>
    public static bool IsPermitted { get; } = Try();

    public void Resize(int kilobytes) => Assert.True(Run("mount", "-o", $"remount,size={kilobytes}k", _folder));

    public void Dispose() => Run("umount", _folder);

    private static bool Try()
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root") return false;
        var folder = Directory.CreateTempSubdirectory("tessera-");
        try
        {
            using var disk = new SmallDisk(folder.FullName, 64);
            return true;
        }
        catch (Exception failure) when (failure is IOException or System.ComponentModel.Win32Exception)
        {
            return false;
        }
        finally
        {
            folder.Delete();
        }
    }

    private static bool Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}

/// <summary>A test that mounts a small disk, and is skipped where that is not permitted.</summary>
public sealed class SmallDiskFactAttribute : FactAttribute
{
    /// <summary>Skips unless a tmpfs can be mounted.</summary>
    public SmallDiskFactAttribute()
    {
        if (!SmallDisk.IsPermitted) Skip = "needs the right to mount a tmpfs";
    }
}
