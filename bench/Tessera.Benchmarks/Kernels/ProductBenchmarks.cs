using BenchmarkDotNet.Attributes;
using Tessera.Benchmarks.Peers;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary>Products of many rows, and of the few of decoding, with the shapes of <c>torch_gemm.py</c>.</summary>
public class ProductBenchmarks : KernelBenchmark
{
    private Tensor _x = null!, _weight = null!;

    /// <summary>m x n x k.</summary>
    [Params(
        "256x256x256", "512x512x512", "1024x1024x1024", "2048x2048x2048", "4096x320x320", "4096x744x320", "4096x8192x320", "1x4096x4096",
        "16x4096x4096")]
    public string Shape { get; set; } = "";

    [GlobalSetup]
    public void SetUp()
    {
        var sizes = Array.ConvertAll(Shape.Split('x'), int.Parse);
        _x = Drawn.Normal([sizes[0], sizes[2]], 1).WithGradient();
        _weight = Drawn.Normal([sizes[1], sizes[2]], 2).WithGradient();
    }

    [Benchmark]
    public void F32() => Forward(() => Op.Linear(_x, _weight));

    /// <summary>Packs the weights in each call.</summary>
    [Benchmark]
    public void Bf16() => Forward(() => Op.Linear(_x, _weight), Precision.BF16);

    [Benchmark]
    public void F32WithGradients() => ForwardAndBackward(() => Op.Linear(_x, _weight), [_x, _weight]);

    [Benchmark]
    public void Bf16WithGradients() => ForwardAndBackward(() => Op.Linear(_x, _weight), [_x, _weight], Precision.BF16);
}

/// <summary>Few rows, as in drafts, small batches and experts with few tokens: no number of rows should be much slower than its
/// neighbours.</summary>
public class ThinProductBenchmarks : KernelBenchmark
{
    private Tensor _x = null!, _weight = null!, _stored = null!;

    [Params(1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 32, 33, 48, 64)]
    public int Rows { get; set; }

    /// <summary>n x k.</summary>
    [Params("4096x4096", "320x320", "1000x333", "50257x320")]
    public string Weight { get; set; } = "";

    [GlobalSetup]
    public void SetUp()
    {
        var sizes = Array.ConvertAll(Weight.Split('x'), int.Parse);
        _x = Drawn.Normal([Rows, sizes[1]], 1);
        _weight = Drawn.Normal([sizes[0], sizes[1]], 2);
        _stored = Tensor.Allocate(_weight.Shape, ElementType.BF16);
        Op.Convert(_weight, _stored);
    }

    [Benchmark]
    public void F32() => Forward(() => Op.Linear(_x, _weight));

    [Benchmark]
    public void StoredInBf16() => Forward(() => Op.Linear(_x, _stored), Precision.BF16);
}

/// <summary>Queries, keys and values of one token, or of a few, with weights in fewer bits: x rounded for each, or once for all.</summary>
public class SharedActivationsBenchmarks : KernelBenchmark
{
    private const int Width = 768;

    private Tensor _x = null!;
    private Tensor[] _weights = [];

    [Params(ElementType.Q8_0, ElementType.Q4_0)]
    public ElementType Type { get; set; }

    [Params(1, 8)]
    public int Rows { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _x = Drawn.Normal([Rows, Width], 1);
        using var scope = Arena.Current.Scope();
        _weights = [.. Enumerable.Range(2, 3).Select(seed => Op.Convert(Drawn.Normal([Width, Width], (ulong)seed), Type).Keep())];
    }

    [Benchmark(Baseline = true)]
    public void Alone() => Forward(() =>
    {
        foreach (var weight in _weights.AsSpan(1)) Op.Linear(_x, weight);
        return Op.Linear(_x, _weights[0]);
    });

    [Benchmark]
    public void Shared() => Forward(() =>
    {
        using var shared = Activations.Of(_x);
        foreach (var weight in _weights.AsSpan(1)) Op.Linear(shared, weight);
        return Op.Linear(shared, _weights[0]);
    });
}

/// <summary>The products of experts: 4,096 slots shared evenly among groups.</summary>
public class GroupedProductBenchmarks : KernelBenchmark
{
    private const int Slots = 4096, Inputs = 256, Outputs = 368;

    private Tensor _x = null!, _weight = null!, _offsets = null!;

    [Params(1, 4, 64, 256)]
    public int Groups { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _x = Drawn.Normal([Slots, Inputs], 1).WithGradient();
        _weight = Drawn.Normal([Groups, Outputs, Inputs], 2).WithGradient();
        _offsets = Tensor.Allocate([Groups + 1], ElementType.I32);
        for (var group = 0; group <= Groups; group++) _offsets.Ints[group] = (int)((long)Slots * group / Groups);
    }

    [Benchmark]
    public void F32() => Forward(() => Op.GroupedLinear(_x, _weight, _offsets));

    [Benchmark]
    public void F32WithGradients() => ForwardAndBackward(() => Op.GroupedLinear(_x, _weight, _offsets), [_x, _weight]);

    [Benchmark]
    public void Bf16WithGradients() => ForwardAndBackward(() => Op.GroupedLinear(_x, _weight, _offsets), [_x, _weight], Precision.BF16);
}
