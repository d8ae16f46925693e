using System.Runtime.CompilerServices;

namespace Tessera.Tensors;

/// <summary>How much of a tile a <see cref="BlockMask"/> lets through.</summary>
public enum Coverage
{
    /// <summary>No pair: the tile is not visited.</summary>
    None,

    /// <summary>Perhaps some pairs: <see cref="BlockMask.Row"/> says which.</summary>
    Some,

    /// <summary>Every pair: the tile is visited without looking at single pairs.</summary>
    All,
}

/// <summary>
/// Which keys each query may attend to. <c>Op.Attention</c> asks it tile by tile and does only the tiles that hold
/// something, so that a sparse attention is a mask and its cost is the number of tiles it touches.
/// <para>Queries stand at the end of the keys: query <c>i</c> has position <c>i + keys − queries</c>, so that the same mask
/// serves a whole sequence and the last tokens of a cached one. Masks are made by narrowing:
/// <c>BlockMask.Causal(queries, keys).Within(window)</c>; unions by <see cref="Or"/>. They are read by several threads at
/// once and must not change.</para>
/// <para>A mask made in a scope of the <see cref="Arena"/> lives until the scope ends, as the results of operations do; one made
/// outside of any may be kept.</para>
/// </summary>
public abstract partial class BlockMask : Recycled
{
    /// <summary>How many keys one word of <see cref="Row"/> tells about.</summary>
    public const int KeysPerWord = 64;

    private int[] _starts = [];
    private int _startCount;

    /// <summary>A mask of the given extent.</summary>
    /// <param name="queries">Number of queries, at least 0.</param>
    /// <param name="keys">Number of keys, at least 0; may be fewer than a cache tensor has room for.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative.</exception>
    protected BlockMask(int queries, int keys) => SetExtent(queries, keys);

    private protected BlockMask()
    {
    }

    /// <summary>The number of queries.</summary>
    public int Queries { get => Live(field); private set; }

    /// <summary>The number of keys.</summary>
    public int Keys { get => Live(field); private set; }

    /// <summary>The number of batch rows the mask is for, or 0 where all are alike.</summary>
    public virtual int Batch => _startCount;

    /// <summary>The number of query heads the mask is for, or 0 where all are alike.</summary>
    public virtual int Heads => 0;

    /// <summary>Which of 64 keys one query sees: bit <c>n</c> is key <c>firstKey + n</c>.</summary>
    /// <param name="batch">Row of the batch.</param>
    /// <param name="head">Query head.</param>
    /// <param name="query">Index of the query, 0 to <see cref="Queries"/> − 1.</param>
    /// <param name="firstKey">A multiple of 64; bits of keys beyond <see cref="Keys"/> are ignored.</param>
    public abstract ulong Row(int batch, int head, int query, int firstKey);

    /// <summary>
    /// What is known at once of the tile of <paramref name="queries"/> × <paramref name="keys"/> pairs; must be exact where
    /// it is not <see cref="Coverage.Some"/>.
    /// </summary>
    /// <param name="batch">Row of the batch.</param>
    /// <param name="head">Query head.</param>
    /// <param name="firstQuery">Index of the first query.</param>
    /// <param name="queries">How many queries, at least 1.</param>
    /// <param name="firstKey">The first key, a multiple of 64.</param>
    /// <param name="keys">How many keys, 1 to 64.</param>
    public virtual Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys) => Coverage.Some;

    /// <summary>The first key, from <paramref name="key"/> on, that a query of a batch row may see; no query sees those before it, and
    /// <see cref="Keys"/> or more says that none are left. So who looks for the next tile need not ask about each.</summary>
    internal virtual int NextKey(int batch, int key) => key;

    /// <summary>No query of some consecutive ones sees a key before the first or from the last on; so who goes over tiles of keys need
    /// not ask about each.</summary>
    internal virtual (int First, int Last) Reach(int batch, int head, int firstQuery, int queries) => (0, Keys);

    /// <summary>How many keys go together in the blocks that queries choose one by one, a multiple of 64; 0 where neighbouring
    /// queries see about the same keys.</summary>
    internal virtual int ChosenBlock => 0;

    /// <summary>Which of up to 64 consecutive queries may see some of a range of keys, and which are known to see all of it: a bit a
    /// query.</summary>
    internal virtual (ulong Some, ulong All) Seen(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var (some, all) = (false, true);
        for (var key = firstKey; key < firstKey + keys; key += KeysPerWord)
        {
            var coverage = Tile(batch, head, firstQuery, queries, key, Math.Min(KeysPerWord, firstKey + keys - key));
            some |= coverage != Coverage.None;
            all &= coverage == Coverage.All;
        }

        var bits = Bits(0, queries);
        return (some ? bits : 0, all ? bits : 0);
    }

    /// <summary>Whether one query sees one key.</summary>
    public bool Allows(int batch, int head, int query, int key) =>
        (Live(this).Row(batch, head, query, key / KeysPerWord * KeysPerWord) >> (key % KeysPerWord) & 1) != 0;

    /// <summary>Whether queries stand elsewhere in one batch row than in another.</summary>
    internal bool HasStarts => _startCount > 0;

    /// <summary>A mask of this one's extent and places of queries.</summary>
    internal T Alike<T>() where T : BlockMask, new()
    {
        var mask = Arena.Current.Lend(static () => new T());
        (mask.Queries, mask.Keys) = (Queries, Keys);
        mask.StandAs(this);
        return mask;
    }

    /// <summary>Takes over where the queries of another mask stand.</summary>
    private protected void StandAs(BlockMask other)
    {
        _startCount = other._startCount;
        if (_startCount > 0) Copy(other._starts.AsSpan(0, _startCount), ref _starts);
    }

    /// <summary>Drops what the mask refers to.</summary>
    protected override void Forget() => _startCount = 0;

    /// <summary>Copies to the beginning of a buffer, which grows where it must.</summary>
    private protected static void Copy(ReadOnlySpan<int> values, ref int[] buffer)
    {
        if (buffer.Length < values.Length) buffer = new int[values.Length];
        values.CopyTo(buffer);
    }

    /// <summary>The position of a query among the keys of its batch row.</summary>
    protected internal int Position(int batch, int query) => query + (_startCount == 0 ? Keys - Queries : _starts[batch]);

    /// <summary>The word whose bits <paramref name="from"/> to <paramref name="to"/> − 1 are set; both may lie outside of 0 to
    /// 64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected static ulong Bits(int from, int to) => Below(to) & ~Below(from);

    private static ulong Below(int bit) => bit <= 0 ? 0 : bit >= KeysPerWord ? ulong.MaxValue : (1UL << bit) - 1;

    private void SetExtent(int queries, int keys)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(queries);
        ArgumentOutOfRangeException.ThrowIfNegative(keys);
        (Queries, Keys) = (queries, keys);
    }
}
