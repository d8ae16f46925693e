using BenchmarkDotNet.Attributes;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>Both ends of a model of width 320 with 8,192 tokens: the embeddings of 4,096 places, and their loss.</summary>
public class LossBenchmarks : KernelBenchmark
{
    private const int Places = 4096, Width = 320, Vocabulary = 8192;

    private Tensor _ids = null!, _table = null!, _x = null!, _logits = null!;

    [GlobalSetup]
    public void SetUp()
    {
        _ids = Drawn.Below(Vocabulary, [Places], 1);
        (_table, _x) = (Drawn.Normal([Vocabulary, Width], 2).WithGradient(), Drawn.Normal([Places, Width], 3).WithGradient());
        _logits = Drawn.Normal([Places, Vocabulary], 4).WithGradient();
    }

    [Benchmark]
    public void Embedding() => Forward(() => Op.Embedding(_ids, _table));

    [Benchmark]
    public void EmbeddingWithGradients() => ForwardAndBackward(() => Op.Embedding(_ids, _table), [_table]);

    [Benchmark]
    public void CrossEntropyWithGradients() => ForwardAndBackward(() => Op.CrossEntropy(_logits, _ids), [_logits]);

    [Benchmark]
    public void LinearCrossEntropyWithGradients() => ForwardAndBackward(() => Op.LinearCrossEntropy(_x, _table, _ids), [_x, _table]);

    [Benchmark]
    public void LinearCrossEntropyWithGradientsBf16() =>
        ForwardAndBackward(() => Op.LinearCrossEntropy(_x, _table, _ids), [_x, _table], Precision.BF16);
}
