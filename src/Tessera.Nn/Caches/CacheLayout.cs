using Tessera.Tensors;

namespace Tessera.Nn.Caches;

/// <summary>What a part remembers of a sequence while decoding, and what that costs; nothing is allocated for it.</summary>
public abstract record CacheLayout
{
    /// <summary>The memory of one sequence.</summary>
    /// <param name="tokens">How many tokens it has read.</param>
    /// <param name="memoryTokens">How many the sequence has that cross-attention looks at.</param>
    /// <param name="type">What keys and values are stored as: F32, BF16 or Q8_0.</param>
    public abstract long BytesOf(int tokens, int memoryTokens, ElementType type);

    /// <summary>An empty cache for any number of sequences, which takes memory as they grow.</summary>
    /// <param name="type">What keys and values are stored as: F32, BF16 or Q8_0.</param>
    public abstract LayerCache Create(ElementType type);
}

/// <summary>A part that remembers something of earlier tokens.</summary>
public interface ICached
{
    /// <summary>What it remembers; null where the part, used as it is, reads whole sequences and remembers nothing.</summary>
    CacheLayout? CacheLayout { get; }
}

/// <summary>What one part remembers of the sequences that are being decoded, each known by a number. One thread decodes: nothing here is
/// safe for several.</summary>
public abstract class LayerCache
{
    /// <summary>Bytes of memory held.</summary>
    public abstract long Bytes { get; }

    /// <summary>Takes the memory for some sequences beforehand, so that no step has to. Nothing unless said.</summary>
    /// <param name="sequences">How many.</param>
    /// <param name="tokens">How long each becomes.</param>
    public virtual void Reserve(int sequences, int tokens)
    {
    }

    /// <summary>Begins a sequence that has read nothing.</summary>
    /// <param name="sequence">Its number, which no other has.</param>
    public abstract void Add(int sequence);

    /// <summary>Forgets a sequence; its number may be given again.</summary>
    public abstract void Remove(int sequence);

    /// <summary>Begins a sequence that has read what another one has. What they share is kept once, until one of them changes it.</summary>
    /// <param name="from">The sequence there is.</param>
    /// <param name="to">The number of the new one.</param>
    public abstract void Fork(int from, int to);

    /// <summary>Forgets the tokens from a length on.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="length">How many tokens it is to have read, at least 0.</param>
    /// <returns>How many it has read now: as asked, or fewer where what came before is not remembered any more; those between have to be
    /// read again.</returns>
    public abstract int Truncate(int sequence, int length);
}
