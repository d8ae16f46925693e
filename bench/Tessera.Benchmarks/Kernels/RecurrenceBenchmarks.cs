using BenchmarkDotNet.Attributes;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>One layer of both directions over 16 rows of 256 steps, 128 hidden units each, as the hybrid model's first.</summary>
public class RecurrenceBenchmarks : KernelBenchmark
{
    private const int Rows = 16, Steps = 256, Inputs = 64, Hidden = 128;

    private Tensor _x = null!;
    private LstmWeights _lstm, _lstmBack;
    private GruWeights _gru, _gruBack;

    [GlobalSetup]
    public void SetUp()
    {
        _x = Drawn.Normal([Rows, Steps, Inputs], 1).WithGradient();
        (_lstm, _lstmBack) = (new(Weight(4, Inputs, 2), Weight(4, Hidden, 3)), new(Weight(4, Inputs, 4), Weight(4, Hidden, 5)));
        (_gru, _gruBack) = (new(Weight(3, Inputs, 6), Weight(3, Hidden, 7)), new(Weight(3, Inputs, 8), Weight(3, Hidden, 9)));
    }

    [Benchmark]
    public void Lstm() => Forward(() => Op.BidirectionalLstm(_x, _lstm, _lstmBack).Outputs);

    [Benchmark]
    public void LstmWithGradients() => ForwardAndBackward(
        () => Op.BidirectionalLstm(_x, _lstm, _lstmBack).Outputs, [_x, _lstm.Input, _lstm.Recurrent, _lstmBack.Input, _lstmBack.Recurrent]);

    [Benchmark]
    public void Gru() => Forward(() => Op.BidirectionalGru(_x, _gru, _gruBack).Outputs);

    [Benchmark]
    public void GruWithGradients() => ForwardAndBackward(
        () => Op.BidirectionalGru(_x, _gru, _gruBack).Outputs, [_x, _gru.Input, _gru.Recurrent, _gruBack.Input, _gruBack.Recurrent]);

    /// <summary>Small weights, so that states stay where gates are not saturated.</summary>
    private static Tensor Weight(int gates, int inputs, ulong seed)
    {
        var weight = Drawn.Normal([gates * Hidden, inputs], seed);
        foreach (ref var value in weight.Floats) value /= 16;
        return weight.WithGradient();
    }
}
