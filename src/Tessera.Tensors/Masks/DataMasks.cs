using System.Numerics.Tensors;

namespace Tessera.Tensors;

/// <summary>Pairs of the same segment of a packed row.</summary>
internal sealed class SegmentMask : BlockMask
{
    private Tensor _queries = null!, _keys = null!;

    public static SegmentMask Of(BlockMask like, Tensor queries, Tensor keys)
    {
        var batch = queries.Shape.Rank == 2 ? queries.Shape[0] : 0;
        ShapeException.Require(
            queries.Type == ElementType.I32 && queries.Shape == [batch, like.Queries], "segments", "queries", queries,
            $"I32 [batch, {like.Queries}]");
        ShapeException.Require(
            keys.Type == ElementType.I32 && keys.Shape.Rank == 2 && keys.Shape[0] == batch && keys.Shape[1] >= like.Keys,
            "segments", "keys", keys, $"I32 [{batch}, at least {like.Keys}]");
        var mask = like.Alike<SegmentMask>();
        (mask._queries, mask._keys) = (queries, keys);
        return mask;
    }

    public override int Batch => _queries.Shape[0];

    public override ulong Row(int batch, int head, int query, int firstKey)
    {
        var segment = _queries.Ints[(batch * Queries) + query];
        if (segment < 0) return 0;
        var keys = KeySegments(batch, firstKey, Math.Min(KeysPerWord, Keys - firstKey));
        var word = 0UL;
        for (var bit = 0; bit < keys.Length; bit++) word |= (keys[bit] == segment ? 1UL : 0) << bit;
        return word;
    }

    public override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var querySegments = _queries.Ints.Slice((batch * Queries) + firstQuery, queries);
        var keySegments = KeySegments(batch, firstKey, keys);
        var (lowest, highest) = (TensorPrimitives.Min<int>(querySegments), TensorPrimitives.Max<int>(querySegments));
        var (lowestKey, highestKey) = (TensorPrimitives.Min<int>(keySegments), TensorPrimitives.Max<int>(keySegments));
        if (highest < lowestKey || highestKey < lowest || highest < 0 || highestKey < 0) return Coverage.None;
        return lowest == highest && lowestKey == highestKey ? Coverage.All : Coverage.Some;
    }

    protected override void Forget()
    {
        base.Forget();
        _queries = _keys = null!;
    }

    private ReadOnlySpan<int> KeySegments(int batch, int firstKey, int keys) =>
        _keys.Ints.Slice((batch * _keys.Shape[1]) + firstKey, keys);
}

/// <summary>Keys of the blocks on each query's list.</summary>
internal sealed class ChosenBlocksMask : BlockMask
{
    private Tensor _chosen = null!;
    private int _size, _queriesEach, _lists, _top;

    public static ChosenBlocksMask Of(BlockMask like, Tensor chosen, int size, int queriesEach)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(queriesEach, 1);
        var lists = (like.Queries + queriesEach - 1) / queriesEach;
        ShapeException.Require(
            chosen.Type == ElementType.I32
                && chosen.Shape.Rank == 4
                && chosen.Shape[2] == lists
                && chosen.Shape[0] > 0
                && chosen.Shape[1] > 0,
            "blocks", "chosen", chosen, $"I32 [batch or 1, heads or 1, {lists}, top]");
        var mask = like.Alike<ChosenBlocksMask>();
        (mask._chosen, mask._size, mask._queriesEach, mask._lists, mask._top) = (chosen, size, queriesEach, lists, chosen.Shape[3]);
        return mask;
    }

    public override int Batch => _chosen.Shape[0] is var batch && batch > 1 ? batch : base.Batch;

    public override int Heads => _chosen.Shape[1] is var heads && heads > 1 ? heads : 0;

    public override ulong Row(int batch, int head, int query, int firstKey)
    {
        var word = 0UL;
        foreach (var block in List(batch, head, query / _queriesEach, 1))
        {
            if (block < 0) continue;
            var from = ((long)block * _size) - firstKey;
            if (from < KeysPerWord && from + _size > 0) word |= Bits((int)from, (int)Math.Min(from + _size, KeysPerWord));
        }

        return word;
    }

    public override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var first = firstQuery / _queriesEach;
        var lists = List(batch, head, first, ((firstQuery + queries - 1) / _queriesEach) - first + 1);
        return lists.ContainsAnyInRange(firstKey / _size, (firstKey + keys - 1) / _size) ? Coverage.Some : Coverage.None;
    }

    internal override int ChosenBlock => _queriesEach < KeysPerWord ? checked((_size + KeysPerWord - 1) / KeysPerWord * KeysPerWord) : 0;

    internal override (ulong Some, ulong All) Seen(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var (first, last) = (firstKey / _size, (firstKey + keys - 1) / _size);
        var some = 0UL;
        for (var query = 0; query < queries; query++)
        {
            var seen = false;
            foreach (var block in List(batch, head, (firstQuery + query) / _queriesEach, 1))
                seen |= (uint)(block - first) <= (uint)(last - first);
            some |= (seen ? 1UL : 0) << query;
        }

        return (some, first == last ? some : 0);
    }

    protected override void Forget()
    {
        base.Forget();
        _chosen = null!;
    }

    /// <summary>Lists of different random blocks, [1, heads, blocks of queries, count].</summary>
    public static Tensor Draw(BlockMask like, int heads, int size, int count, CounterRandom random)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(heads, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var (lists, blocks) = ((like.Queries + size - 1) / size, (like.Keys + size - 1) / size);
        count = Math.Min(count, blocks);
        var chosen = Tensor.Allocate([1, heads, lists, count], ElementType.I32);
        var all = new int[blocks];
        for (var list = 0; list < heads * lists; list++)
        {
            for (var block = 0; block < blocks; block++) all[block] = block;
            random.Derive((ulong)list).Shuffle<int>(all);
            all.AsSpan(0, count).CopyTo(chosen.Ints[(list * count)..]);
        }

        return chosen;
    }

    private ReadOnlySpan<int> List(int batch, int head, int first, int count)
    {
        var row = ((_chosen.Shape[0] > 1 ? batch : 0) * _chosen.Shape[1]) + (_chosen.Shape[1] > 1 ? head : 0);
        return _chosen.Ints.Slice(((row * _lists) + first) * _top, count * _top);
    }
}

/// <summary>Any pairs at all, a bit each.</summary>
internal sealed class TableMask : BlockMask
{
    private readonly ulong[] _words;
    private readonly int _batch, _heads, _wordsPerRow;

    public TableMask(Tensor table) : base(Axis(table, 2), Axis(table, 1))
    {
        ShapeException.Require(table.Type == ElementType.I32, "table", "table", table, "I32 [batch or 1, heads or 1, queries, keys]");
        (_batch, _heads) = (table.Shape.Rank > 3 ? table.Shape[0] : 1, table.Shape.Rank > 2 ? table.Shape[^3] : 1);
        _wordsPerRow = (Keys + KeysPerWord - 1) / KeysPerWord;
        _words = new ulong[_batch * _heads * Queries * _wordsPerRow];
        var values = table.Ints;
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i] != 0) _words[(i / Keys * _wordsPerRow) + (i % Keys / KeysPerWord)] |= 1UL << (i % Keys % KeysPerWord);
        }
    }

    public override int Batch => _batch > 1 ? _batch : 0;

    public override int Heads => _heads > 1 ? _heads : 0;

    public override ulong Row(int batch, int head, int query, int firstKey)
    {
        var row = ((((_batch > 1 ? batch : 0) * _heads) + (_heads > 1 ? head : 0)) * Queries) + query;
        return _words[(row * _wordsPerRow) + (firstKey / KeysPerWord)];
    }

    private static int Axis(Tensor table, int fromEnd)
    {
        ShapeException.Require(table.Shape.Rank is >= 2 and <= 4, "table", "table", table, "I32 [batch or 1, heads or 1, queries, keys]");
        return table.Shape[^fromEnd];
    }
}
