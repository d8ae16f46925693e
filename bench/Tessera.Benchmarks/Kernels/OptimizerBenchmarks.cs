using BenchmarkDotNet.Attributes;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>The update of as many weights as the 14.2 M decoder has, in 74 tensors, and the norm of their gradients.</summary>
public class OptimizerBenchmarks
{
    private const int Tensors = 74, Each = 192_000;

    private readonly List<(Tensor Weights, Tensor First, Tensor Second)> _parameters = [];
    private readonly UpdateBatch _batch = new(Tensors);

    [GlobalSetup]
    public void SetUp()
    {
        for (var index = 0; index < Tensors; index++)
        {
            var weights = Drawn.Normal([Each], (ulong)index).WithGradient();
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            tape.Backward(Op.Scale(weights, 1), weights.Floats); // a gradient like the weights
            _parameters.Add((weights, Tensor.Allocate([Each]), Tensor.Allocate([Each])));
        }
    }

    [Benchmark]
    public void AdamW()
    {
        foreach (var (weights, first, second) in _parameters) _batch.Add(weights, first, second, new UpdateFactors(1e-6, 1e-8, 0.1, 0.05));
        _batch.AdamW(0.9, 0.95, 1e-8, 1);
    }

    [Benchmark]
    public double GradientNorm()
    {
        var squares = 0.0;
        foreach (var (weights, _, _) in _parameters) squares += GradientSize.Squares(weights);
        return Math.Sqrt(squares);
    }
}
