using BenchmarkDotNet.Attributes;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>Flash attention, 8 heads of 64 over 2,048 tokens, and one query or 16 (a draft) over a cache of as many.</summary>
public class AttentionBenchmarks : KernelBenchmark
{
    private const int Length = 2048, Heads = 8, Width = 64, Draft = 16;

    private Tensor _queries = null!, _keys = null!, _values = null!, _query = null!, _draft = null!;
    private BlockMask _mask = null!, _last = null!, _lastOnes = null!;

    [Params("causal", "window", "full")]
    public string Mask { get; set; } = "";

    [GlobalSetup]
    public void SetUp()
    {
        _queries = Drawn.Normal([1, Length, Heads, Width], 1).WithGradient();
        _keys = Drawn.Normal([1, Length, Heads, Width], 2).WithGradient();
        _values = Drawn.Normal([1, Length, Heads, Width], 3).WithGradient();
        _query = Drawn.Normal([1, 1, Heads, Width], 4);
        _draft = Drawn.Normal([1, Draft, Heads, Width], 5);
        (_mask, _last, _lastOnes) = (Of(Length), Of(1), Of(Draft));
    }

    [Benchmark]
    public void ForwardF32() => Forward(() => Op.Attention(_queries, _keys, _values, _mask));

    [Benchmark]
    public void ForwardBf16() => Forward(() => Op.Attention(_queries, _keys, _values, _mask), Precision.BF16);

    [Benchmark]
    public void WithGradientsF32() => ForwardAndBackward(() => Op.Attention(_queries, _keys, _values, _mask), [_queries, _keys, _values]);

    [Benchmark]
    public void WithGradientsBf16() =>
        ForwardAndBackward(() => Op.Attention(_queries, _keys, _values, _mask), [_queries, _keys, _values], Precision.BF16);

    [Benchmark]
    public void Decode() => Forward(() => Op.Attention(_query, _keys, _values, _last));

    [Benchmark]
    public void VerifyBf16() => Forward(() => Op.Attention(_draft, _keys, _values, _lastOnes), Precision.BF16);

    private BlockMask Of(int queries) => Mask switch
    {
        "causal" => BlockMask.Causal(queries, Length),
        "window" => BlockMask.Causal(queries, Length).Within(256),
        _ => BlockMask.Full(queries, Length),
    };
}
