using Tessera.Tensors;

namespace Tessera.Nn.Caches;

/// <summary>A part that looks at another sequence, of which it remembers what it needs once, before decoding begins.</summary>
public interface IReadsMemory
{
    /// <summary>Remembers what an encoder said of some sequences.</summary>
    /// <param name="memory">[rows, longest, width].</param>
    /// <param name="lengths">How much of each row is real.</param>
    /// <param name="sequences">The number of each row's sequence.</param>
    /// <param name="caches">Where it is kept.</param>
    /// <param name="context">Of the pass.</param>
    void Remember(Tensor memory, ReadOnlySpan<int> lengths, ReadOnlySpan<int> sequences, CacheSet caches, ForwardContext context);
}
