using BenchmarkDotNet.Attributes;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>4,096 tokens of width 256 to 2 of 4 experts each and back.</summary>
public class DispatchBenchmarks : KernelBenchmark
{
    private const int Tokens = 4096, Width = 256, Experts = 4, Active = 2;

    private Tensor _x = null!, _slots = null!, _scores = null!;

    [GlobalSetup]
    public void SetUp()
    {
        (_x, _slots) = (Drawn.Normal([Tokens, Width], 1).WithGradient(), Drawn.Normal([Tokens * Active, Width], 2).WithGradient());
        _scores = Drawn.Normal([Tokens, Experts], 3).WithGradient();
    }

    [Benchmark]
    public void Plan() => Forward(() => DispatchPlan.From(Op.TopIndices(_scores, Active), Experts).Slots);

    [Benchmark]
    public void PlanAndDispatchWithGradients() =>
        ForwardAndBackward(() => Op.Dispatch(_x, DispatchPlan.From(Op.TopIndices(_scores, Active), Experts)), [_x]);

    [Benchmark]
    public void PlanAndCombineWithGradients() => ForwardAndBackward(Combine, [_slots, _scores]);

    private Tensor Combine()
    {
        var choices = Op.TopIndices(_scores, Active);
        return Op.Combine(_slots, Op.Select(_scores, choices, normalise: false), DispatchPlan.From(choices, Experts));
    }
}
