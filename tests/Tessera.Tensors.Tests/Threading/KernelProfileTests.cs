using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Tests.Threading;

/// <summary>Counting kernels, which is off unless a switch is set before the first one runs.</summary>
public sealed class KernelProfileTests
{
    [Fact]
    public void Nothing_is_counted_unless_it_is_asked_for()
    {
        using var scope = Arena.Current.Scope();
        Op.Linear(Tensor.Allocate([300, 300]), Tensor.Allocate([300, 300]));
        Assert.False(KernelProfile.IsOn);
        Assert.Empty(KernelProfile.Entries);
    }

    [Fact]
    public void A_job_inside_another_is_part_of_it_and_its_own_work_is_said_once()
    {
        Assert.True(KernelProfile.TryEnter(out var start));
        Assert.False(KernelProfile.TryEnter(out _));
        KernelProfile.Leave(typeof(KernelProfileTests), start);
        var entry = KernelProfile.Entries[(typeof(KernelProfileTests), default)];
        KernelProfile.Clear();
        Assert.Equal((1L, 0.0, 0.0), (entry.Calls, entry.Operations, entry.Bytes));
        Assert.True(entry.Ticks >= 0);
    }
}
