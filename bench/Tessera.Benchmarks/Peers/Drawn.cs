using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>Owned tensors to measure with.</summary>
internal static class Drawn
{
    /// <summary>Standard normal numbers.</summary>
    public static Tensor Normal(Shape shape, ulong seed)
    {
        var (tensor, random) = (Tensor.Allocate(shape), new CounterRandom(seed));
        for (var i = 0; i < tensor.Floats.Length; i++) tensor.Floats[i] = (float)random.Normal((ulong)i);
        return tensor;
    }

    /// <summary>Whole numbers from 0, below the limit.</summary>
    public static Tensor Below(int limit, Shape shape, ulong seed)
    {
        var (tensor, random) = (Tensor.Allocate(shape, ElementType.I32), new CounterRandom(seed));
        for (var i = 0; i < tensor.Ints.Length; i++) tensor.Ints[i] = random.Below(limit, (ulong)i);
        return tensor;
    }
}
