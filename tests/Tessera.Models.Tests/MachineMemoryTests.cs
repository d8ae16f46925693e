using Tessera.Models.Tests.Formats;

namespace Tessera.Models.Tests;

/// <summary>What is left of memory, as files of Linux say: made up here, in the forms that the kernel documents.</summary>
public sealed class MachineMemoryTests : IDisposable
{
    private const long Mebibyte = 1 << 20;

    private readonly TemporaryFolder _root = new();

    public MachineMemoryTests() => Write("proc/meminfo", "MemTotal: 4096000 kB\nMemFree: 1 kB\nMemAvailable:   2048000 kB\n");

    public void Dispose() => _root.Dispose();

    [Fact]
    public void Without_groups_the_machine_limits() => Assert.Equal(2048000L * 1024, MachineMemory.Under(_root.Path));

    [Fact]
    public void Every_group_above_limits_what_its_file_cache_does_not_fill()
    {
        Write("proc/self/cgroup", "0::/user.slice/job\n");
        Write("sys/fs/cgroup/user.slice/job/memory.max", "max\n");
        Write("sys/fs/cgroup/user.slice/job/memory.current", "12345\n");
        Write("sys/fs/cgroup/user.slice/memory.max", $"{512 * Mebibyte}\n");
        Write("sys/fs/cgroup/user.slice/memory.current", $"{300 * Mebibyte}\n");
        Write("sys/fs/cgroup/user.slice/memory.stat", $"anon 7\ninactive_file {40 * Mebibyte}\nactive_file {60 * Mebibyte}\n");
        Assert.Equal(312 * Mebibyte, MachineMemory.Under(_root.Path));
    }

    [Fact]
    public void Within_a_container_the_tree_begins_with_its_group()
    {
        Write("proc/self/cgroup", "0::/\n");
        Write("sys/fs/cgroup/memory.max", $"{100 * Mebibyte}\n");
        Write("sys/fs/cgroup/memory.current", $"{30 * Mebibyte}\n");
        Assert.Equal(70 * Mebibyte, MachineMemory.Under(_root.Path));
    }

    [Fact]
    public void Groups_of_the_first_version_have_a_tree_of_their_own()
    {
        Write("proc/self/cgroup", "11:cpu,cpuacct:/docker/a\n9:memory:/docker/a\n");
        Write("sys/fs/cgroup/memory/memory.limit_in_bytes", $"{64 * Mebibyte}\n");
        Write("sys/fs/cgroup/memory/memory.usage_in_bytes", $"{80 * Mebibyte}\n");
        Write("sys/fs/cgroup/memory/memory.stat", $"inactive_file 1\ntotal_inactive_file {20 * Mebibyte}\n");
        Assert.Equal(4 * Mebibyte, MachineMemory.Under(_root.Path));
        Write("sys/fs/cgroup/memory/memory.usage_in_bytes", $"{800 * Mebibyte}\n");
        Assert.Equal(0, MachineMemory.Under(_root.Path));
    }

    [Fact]
    public void This_machine_has_some() => Assert.True(MachineMemory.Available > 0);

    [Fact]
    public void Too_much_is_refused_in_one_sentence()
    {
        Assert.Null(MachineMemory.WhyNot(5, "the weights", 5));
        Assert.Equal(
            "the weights need 3.0 GiB of memory, of which 1.5 GiB are left; take a smaller model, one of fewer bits, or a machine with more",
            MachineMemory.WhyNot(3L << 30, "the weights", 3L << 29));
    }

    [Fact]
    public void Weights_that_are_being_made_can_be_stopped()
    {
        var model = SmallModels.Build("decoder");
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.Throws<OperationCanceledException>(() => MachineMemory.Touch(model, stop.Token));
        Assert.DoesNotContain(model.Parameters(), own => own.Parameter.IsMade && own.Parameter.Shape.Count > SmallModels.Width);
        MachineMemory.Touch(model, CancellationToken.None);
        Assert.All(model.Parameters(), own => Assert.True(own.Parameter.IsMade));
        Assert.Equal(model.Parameters().Sum(own => 4 * own.Parameter.Shape.Count), MachineMemory.BytesOf(model));
    }

    private void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_root.File(name))!);
        File.WriteAllText(_root.File(name), text);
    }
}
