using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>What a part remembers of earlier tokens while decoding: owned memory of fixed capacity for a batch of rows.</summary>
public abstract class Cache
{
    /// <summary>Bytes of memory held.</summary>
    public abstract long Bytes { get; }

    /// <summary>Rearranges the rows: row i becomes what row <paramref name="rows"/>[i] was. Rows may be repeated or left
    /// out; there may be fewer than before, not more than the cache was made for.</summary>
    public abstract void Select(ReadOnlySpan<int> rows);

    /// <summary>Forgets all tokens.</summary>
    public abstract void Clear();
}

/// <summary>A part that can remember earlier tokens.</summary>
public interface ICached
{
    /// <summary>An empty cache, or null where the part, used as it is, reads whole sequences and remembers nothing.</summary>
    Cache? CreateCache(CacheSize size);
}

/// <summary>What caches are made for.</summary>
/// <param name="Rows">The greatest number of rows.</param>
/// <param name="Tokens">The greatest number of tokens a row.</param>
/// <param name="MemoryTokens">The length of <see cref="ForwardContext.Memory"/>, where there is one.</param>
public readonly record struct CacheSize(int Rows, int Tokens, int MemoryTokens = 0);

/// <summary>The caches of all parts of a model that have one.</summary>
public sealed class CacheSet
{
    private readonly Dictionary<Module, Cache> _caches = [];

    /// <summary>Empty caches for the parts of <paramref name="model"/>.</summary>
    public CacheSet(Module model, CacheSize size)
    {
        foreach (var (_, module) in model.Modules())
        {
            if (module is ICached cached && cached.CreateCache(size) is { } cache) _caches[module] = cache;
            if (module is PositionEncoding position) position.Prepare(size.Tokens);
        }
    }

    /// <summary>Bytes of memory held by all caches.</summary>
    public long Bytes => _caches.Values.Sum(cache => cache.Bytes);

    /// <summary>The cache of one part.</summary>
    public Cache Of(Module module) => _caches[module];

    /// <summary>Forgets all tokens.</summary>
    public void Clear()
    {
        foreach (var cache in _caches.Values) cache.Clear();
    }

    /// <summary>Rearranges the rows of all caches; see <see cref="Cache.Select"/>.</summary>
    public void Select(ReadOnlySpan<int> rows)
    {
        foreach (var cache in _caches.Values) cache.Select(rows);
    }
}
