using Tessera.Models.Formats;
using Tessera.Training.Checkpoints;
using Tessera.Training.Optimizers;
using Tessera.Training.Tests.Optimizers;

namespace Tessera.Training.Tests.Checkpoints;

public sealed class CheckpointStoreTests : IDisposable
{
    private readonly CheckpointFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void An_empty_or_absent_store_has_no_checkpoint() => Assert.Null(new CheckpointStore(_folder.Store).Latest());

    [Fact]
    public void The_latest_checkpoint_comes_back_as_it_was_saved()
    {
        var store = new CheckpointStore(_folder.Store);
        CheckpointFolder.Save(store, 9);
        CheckpointFolder.AssertIsOf(1_000_000_000, CheckpointFolder.Save(store, 1_000_000_000, value: 7), value: 7);
        CheckpointFolder.AssertIsOf(1_000_000_000, new CheckpointStore(_folder.Store).Latest(), value: 7);
        Assert.Equal(["step-000000009", "step-1000000000"], _folder.Names);
        Assert.Equal(
            ["checkpoint.json", "hashes.json", "model.safetensors", "recipe.json", "state.json"],
            Directory
                .GetFiles(Path.Combine(_folder.Store, "step-000000009"))
                .Select(path => Path.GetFileName(path))
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_run_that_resumes_from_model_and_optimizer_reaches_the_same_bits()
    {
        var whole = new Run();
        whole.Advance(0, 6);
        var first = new Run();
        first.Advance(0, 3);
        var store = new CheckpointStore(_folder.Store);
        store.Save(3, writer =>
        {
            writer.Model(first.Model);
            writer.Optimizer(first.Optimizer.State);
        });
        var second = new Run();
        var checkpoint = store.Latest()!;
        checkpoint.Restore(second.Model);
        checkpoint.Restore(second.Optimizer.State);
        second.Advance(3, 6);
        Assert.Equal(whole.Weights(), second.Weights());
        Assert.NotEqual(whole.Weights(), first.Weights());
    }

    [Fact]
    public void A_process_killed_between_any_two_file_operations_leaves_the_old_or_the_new_checkpoint_whole()
    {
        var snapshots = new List<string>();
        CheckpointFolder.Save(new CheckpointStore(_folder.Store), 1);
        var store = new CheckpointStore(_folder.Store, keep: 1)
        {
            BeforeOperation = (_, _) => snapshots.Add(Copy(_folder.Store, Path.Combine(_folder.Path, $"killed-{snapshots.Count}"))),
        };
        CheckpointFolder.Save(store, 2);
        CheckpointFolder.Save(store, 2, value: 5); // the same step again, as after a resume
        Assert.InRange(snapshots.Count, 30, 200);
        var latest = 1;
        var found = new HashSet<int>();
        foreach (var snapshot in snapshots)
        {
            var survivor = new CheckpointStore(snapshot, keep: 1);
            var checkpoint = survivor.Latest(damaged: failure => Assert.Fail(failure.Message));
            var value = Value(checkpoint!);
            CheckpointFolder.AssertIsOf((int)checkpoint!.Step, checkpoint, value);
            Assert.True(value >= latest, "an old checkpoint came back");
            found.Add(latest = value);
            CheckpointFolder.Save(survivor, 3);
            Assert.Equal(["step-000000003"], Directory.GetFileSystemEntries(snapshot).Select(path => Path.GetFileName(path)));
        }

        Assert.Equal([1, 2, 5], found.Order());
    }

    [Fact]
    public void A_disk_that_fails_at_any_operation_leaves_the_last_checkpoint_and_nothing_else()
    {
        var operations = Count(_folder.Store + "-counted");
        Assert.InRange(operations.Count, 15, 100);
        var good = new CheckpointStore(_folder.Store);
        CheckpointFolder.Save(good, 1);
        for (var failing = 0; failing < operations.Count; failing++)
        {
            var count = 0;
            var failingPath = "";
            var store = new CheckpointStore(_folder.Store)
            {
                BeforeOperation = (_, path) =>
                {
                    if (count++ != failing) return;
                    failingPath = path;
                    throw new IOException("No space left on device.");
                },
            };
            var message = Assert.Throws<IOException>(() => CheckpointFolder.Save(store, 2)).Message;
            if (operations[failing] is "create" or "write")
                Assert.Contains($"{Path.GetFileName(failingPath)}: No space left on device; ", message, StringComparison.Ordinal);
            Assert.Matches(@"needs at least \d+ bytes, \d+ are free", message);
            Assert.Equal(["step-000000001"], _folder.Names);
            CheckpointFolder.AssertIsOf(1, good.Latest());
        }
    }

    [Fact]
    public void A_full_disk_says_how_much_the_file_needs()
    {
        var store = new CheckpointStore(_folder.Store)
        {
            BeforeOperation = (operation, path) =>
            {
                if (operation == "create" && path.EndsWith("big.safetensors", StringComparison.Ordinal)) throw new IOException("full");
            },
        };
        var parameters = Parameters.Random(1, 1_000_000);
        var tensors = Weights.Writer([("a", parameters[0].Parameter.Value)]);
        var message = Assert.Throws<IOException>(() => store.Save(1, writer => writer.Tensors("big.safetensors", tensors))).Message;
        Assert.Contains(
            $"big.safetensors: full; the checkpoint needs at least {tensors.ByteCount} bytes", message, StringComparison.Ordinal);
        Assert.InRange(tensors.ByteCount, 4_000_000, 4_000_200);
    }

    [SmallDiskFact]
    public void A_disk_that_is_really_full_leaves_the_last_checkpoint()
    {
        using var disk = new SmallDisk(Path.Combine(_folder.Path, "disk"), kilobytes: 4096);
        var folder = Path.Combine(_folder.Path, "disk", "store");
        var store = new CheckpointStore(folder);
        CheckpointFolder.Save(store, 1);
        var big = Parameters.Random(1, 1 << 24);
        var tensors = Weights.Writer([("a", big[0].Parameter.Value)]);
        var known = Assert.Throws<IOException>(() => store.Save(2, writer => writer.Tensors("big", tensors))).Message;
        var unknown = Assert.Throws<IOException>(() => store.Save(2, writer => writer.Write("big", tensors.Write))).Message;
        Assert.Matches(@"big: .*needs at least \d{7,} bytes, \d+ are free", known);
        Assert.Matches(@"big: .*needs at least \d{6,} bytes, \d+ are free", unknown);
        CheckpointFolder.AssertIsOf(1, store.Latest());
        Assert.Single(Directory.GetFileSystemEntries(folder));
    }

    [Fact]
    public void A_writer_that_throws_leaves_nothing_and_its_own_exception()
    {
        var store = new CheckpointStore(_folder.Store);
        Assert.Throws<FormatException>(() => store.Save(1, _ => throw new FormatException()));
        Assert.Throws<ArgumentException>(() => store.Save(1, writer => writer.Write("../outside", _ => { })));
        Assert.Throws<ArgumentException>(() => store.Save(1, writer => writer.Write("hashes.json", _ => { })));
        Assert.Empty(_folder.Names);
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void The_newest_and_the_best_checkpoints_stay()
    {
        var store = new CheckpointStore(_folder.Store, keep: 2);
        double?[] scores = [5, 2, double.NaN, 3, null, 4];
        for (var step = 0; step < scores.Length; step++) CheckpointFolder.Save(store, step + 1, scores[step]);
        Assert.Equal(["step-000000002", "step-000000005", "step-000000006"], _folder.Names);
        Assert.Equal((2, 2.0), (store.Best()!.Step, store.Best()!.Score));
        CheckpointFolder.AssertIsOf(6, store.Latest());
        CheckpointFolder.Save(store, 7, 1.5);
        Assert.Equal(["step-000000006", "step-000000007"], _folder.Names);
    }

    [Fact]
    public void Scores_of_something_else_count_no_more()
    {
        var store = new CheckpointStore(_folder.Store, keep: 1);
        double[] scores = [2, 1, 7, 6, 8];
        for (var step = 1; step <= scores.Length; step++)
            store.Save(step, writer => writer.State(step), scores[step - 1], comparedFrom: step <= 2 ? 0 : 2);
        Assert.Equal(["step-000000004", "step-000000005"], _folder.Names);
        Assert.Equal(4, store.Best(comparedFrom: 2)!.Step);
        Assert.Null(store.Best(comparedFrom: 5));
    }

    [Fact]
    public void Other_files_and_folders_in_the_store_are_left_alone()
    {
        Directory.CreateDirectory(Path.Combine(_folder.Store, "step-notes"));
        File.WriteAllText(Path.Combine(_folder.Store, "log.txt"), "x");
        var store = new CheckpointStore(_folder.Store, keep: 1);
        CheckpointFolder.Save(store, 1);
        CheckpointFolder.Save(store, 2);
        Assert.Equal(["log.txt", "step-000000002", "step-notes"], _folder.Names);
    }

    private static int Value(Checkpoint checkpoint)
    {
        var model = new CheckpointFolder.TwoParts(-1);
        checkpoint.Restore(model);
        return (int)model.Parameters()[0].Parameter.Value.Floats[0];
    }

    /// <summary>The operations of saving one checkpoint, in order.</summary>
    private static List<string> Count(string folder)
    {
        var operations = new List<string>();
        CheckpointFolder.Save(new CheckpointStore(folder) { BeforeOperation = (operation, _) => operations.Add(operation) }, 2);
        return operations;
    }

    private static string Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var folder in Directory.GetDirectories(from)) Copy(folder, Path.Combine(to, Path.GetFileName(folder)));
        foreach (var file in Directory.GetFiles(from)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        return to;
    }

    private sealed class Run
    {
        public Run()
        {
            Model = new CheckpointFolder.TwoParts(1);
            Optimizer = new AdamWOptions().Build([.. Model.Parameters()]);
        }

        public CheckpointFolder.TwoParts Model { get; }

        public Optimizer Optimizer { get; }

        public float[] Weights() => [.. Model.Parameters().SelectMany(own => own.Parameter.Value.ToArray())];

        public void Advance(int from, int to)
        {
            for (var step = from; step < to; step++)
            {
                foreach (var (_, parameter) in Model.Parameters())
                    parameter.SetGradient(Parameters.Normal(new Random(step), (int)parameter.Value.Shape.Count));
                Optimizer.Step(0.01);
            }
        }
    }
}
