using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn.Caches;

/// <summary>The caches of all parts of a model that have one, and the sequences in them.</summary>
public sealed class CacheSet
{
    private readonly Dictionary<Module, LayerCache> _caches = [];
    private readonly List<PositionEncoding> _positions = [];
    private readonly Stack<int> _free = [];
    private int _next;

    /// <summary>Empty caches for the parts of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="type">What keys and values are stored as: F32, BF16 or Q8_0.</param>
    public CacheSet(Module model, ElementType type = ElementType.F32)
    {
        foreach (var (_, module) in model.Modules())
        {
            if (module is ICached { CacheLayout: { } layout }) _caches[module] = layout.Create(type);
            if (module is PositionEncoding position) _positions.Add(position);
        }
    }

    /// <summary>Bytes of memory held by all caches.</summary>
    public long Bytes => _caches.Values.Sum(cache => cache.Bytes);

    /// <summary>What the caches of a model take for one sequence; nothing is allocated.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokens">How many tokens it has read.</param>
    /// <param name="memoryTokens">How many its encoder has read.</param>
    /// <param name="type">What keys and values are stored as.</param>
    public static long BytesOf(Module model, int tokens, int memoryTokens, ElementType type = ElementType.F32) =>
        model.Modules().Sum(named => (named.Module as ICached)?.CacheLayout?.BytesOf(tokens, memoryTokens, type) ?? 0);

    /// <summary>The cache of one part.</summary>
    public LayerCache Of(Module module) => _caches[module];

    /// <summary>Takes memory and computes tables beforehand, so that no step has to.</summary>
    /// <param name="sequences">How many sequences there will be.</param>
    /// <param name="tokens">How long each becomes.</param>
    public void Reserve(int sequences, int tokens)
    {
        foreach (var position in _positions) position.Prepare(tokens);
        foreach (var cache in _caches.Values) cache.Reserve(sequences, tokens);
    }

    /// <summary>Begins a sequence.</summary>
    /// <returns>Its number.</returns>
    public int Add()
    {
        var sequence = _free.Count > 0 ? _free.Pop() : _next++;
        foreach (var cache in _caches.Values) cache.Add(sequence);
        return sequence;
    }

    /// <summary>Forgets a sequence.</summary>
    public void Remove(int sequence)
    {
        foreach (var cache in _caches.Values) cache.Remove(sequence);
        _free.Push(sequence);
    }

    /// <summary>Begins a sequence that has read what another one has.</summary>
    /// <returns>Its number.</returns>
    public int Fork(int sequence)
    {
        var fork = _free.Count > 0 ? _free.Pop() : _next++;
        foreach (var cache in _caches.Values) cache.Fork(sequence, fork);
        return fork;
    }

    /// <summary>Forgets the tokens of a sequence from a length on.</summary>
    /// <returns>How many all caches have now: as asked, or fewer; those between have to be read again.</returns>
    public int Truncate(int sequence, int length)
    {
        for (var kept = length; ; length = kept)
        {
            foreach (var cache in _caches.Values) kept = Math.Min(kept, cache.Truncate(sequence, kept));
            if (kept == length) return kept;
        }
    }
}
