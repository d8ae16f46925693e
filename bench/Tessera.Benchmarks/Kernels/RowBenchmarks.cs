using BenchmarkDotNet.Attributes;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>Work on each row or element of 4,096 tokens of width 320, hidden width 744, 5 heads of 64: bound by memory.</summary>
public class RowBenchmarks : KernelBenchmark
{
    private const int Rows = 16, Length = 256, Width = 320, Hidden = 744, Heads = 5, HeadWidth = 64;

    private Tensor _x = null!,
        _weight = null!,
        _gate = null!,
        _up = null!,
        _heads = null!,
        _positions = null!,
        _cosines = null!,
        _sines = null!;

    [GlobalSetup]
    public void SetUp()
    {
        _x = Drawn.Normal([Rows, Length, Width], 1).WithGradient();
        _weight = Drawn.Normal([Width], 2).WithGradient();
        (_gate, _up) = (Drawn.Normal([Rows, Length, Hidden], 3).WithGradient(), Drawn.Normal([Rows, Length, Hidden], 4).WithGradient());
        _heads = Drawn.Normal([Rows, Length, Heads, HeadWidth], 5).WithGradient();
        _positions = Drawn.Below(Length, [Rows, Length], 6);
        (_cosines, _sines) = (Drawn.Normal([Length, HeadWidth / 2], 7), Drawn.Normal([Length, HeadWidth / 2], 8));
    }

    [Benchmark]
    public void RmsNorm() => Forward(() => Op.RmsNorm(_x, _weight, 1e-6f));

    [Benchmark]
    public void RmsNormWithGradients() => ForwardAndBackward(() => Op.RmsNorm(_x, _weight, 1e-6f), [_x, _weight]);

    [Benchmark]
    public void LayerNormWithGradients() => ForwardAndBackward(() => Op.LayerNorm(_x, _weight, null, 1e-6f), [_x, _weight]);

    [Benchmark]
    public void Gelu() => Forward(() => Op.Activate(_gate, Activation.Gelu));

    [Benchmark]
    public void GeluWithGradients() => ForwardAndBackward(() => Op.Activate(_gate, Activation.Gelu), [_gate]);

    [Benchmark]
    public void SiluGate() => Forward(() => Op.Gate(_gate, _up, Activation.Silu));

    [Benchmark]
    public void SiluGateWithGradients() => ForwardAndBackward(() => Op.Gate(_gate, _up, Activation.Silu), [_gate, _up]);

    [Benchmark]
    public void Rotary() => Forward(() => Op.Rotate(_heads, _positions, _cosines, _sines, RotaryLayout.Halves));

    [Benchmark]
    public void RotaryWithGradients() =>
        ForwardAndBackward(() => Op.Rotate(_heads, _positions, _cosines, _sines, RotaryLayout.Halves), [_heads]);

    [Benchmark]
    public void Dropout() => Forward(() => Op.Dropout(_x, 0.1f, new CounterRandom(9)));

    [Benchmark]
    public void DropoutWithGradients() => ForwardAndBackward(() => Op.Dropout(_x, 0.1f, new CounterRandom(9)), [_x]);

    [Benchmark]
    public void SumWithGradients() => ForwardAndBackward(() => Op.Add(_gate, _up), [_gate, _up]);
}
