namespace Tessera.Tensors;

/// <summary>A mask under which each query sees one range of keys, whose ends do not go back from one query to the next.</summary>
internal abstract class RangeMask : BlockMask
{
    /// <summary>The first key seen from a position and the one after the last; may exceed what there is.</summary>
    protected abstract (int From, int To) Range(int batch, int position);

    public sealed override ulong Row(int batch, int head, int query, int firstKey)
    {
        var (from, to) = Range(batch, Position(batch, query));
        return Bits(from - firstKey, to - firstKey);
    }

    public sealed override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var first = Range(batch, Position(batch, firstQuery));
        var last = Range(batch, Position(batch, firstQuery + queries - 1));
        if (last.To <= firstKey || first.From >= firstKey + keys) return Coverage.None;
        return last.From <= firstKey && first.To >= firstKey + keys ? Coverage.All : Coverage.Some;
    }

    internal sealed override (int First, int Last) Reach(int batch, int head, int firstQuery, int queries) =>
        (Math.Max(0, Range(batch, Position(batch, firstQuery)).From),
         Math.Min(Keys, Range(batch, Position(batch, firstQuery + queries - 1)).To));

    internal sealed override int NextKey(int batch, int key) =>
        Queries == 0 || Range(batch, Position(batch, Queries - 1)).To <= key ? Keys : Math.Max(key, Range(batch, Position(batch, 0)).From);
}

/// <summary>From <c>back</c> keys before the query's position to <c>ahead</c> keys after it: causal masks and windows.</summary>
internal sealed class BandMask : RangeMask
{
    /// <summary>A distance beyond every sequence, small enough that sums with positions do not overflow.</summary>
    public const int Unbounded = 1 << 30;

    private int _back, _ahead;

    public static BandMask Of(BlockMask like, int back, int ahead)
    {
        var mask = like.Alike<BandMask>();
        (mask._back, mask._ahead) = (Math.Min(back, Unbounded), Math.Min(ahead, Unbounded));
        return mask;
    }

    protected override (int From, int To) Range(int batch, int position) => (position - _back, position + _ahead + 1);
}

/// <summary>The chunk that the query's position falls into.</summary>
internal sealed class ChunkMask : RangeMask
{
    private int _size;

    public static ChunkMask Of(BlockMask like, int size)
    {
        var mask = like.Alike<ChunkMask>();
        mask._size = size;
        return mask;
    }

    protected override (int From, int To) Range(int batch, int position)
    {
        var from = (position / _size) - (position % _size < 0 ? 1 : 0); // rounds down before the first key too
        return (from * _size, (from + 1) * _size);
    }
}

/// <summary>The first keys: as many for every batch row, or a number for each.</summary>
internal sealed class LengthMask : RangeMask
{
    private int[] _lengths = [];
    private int _rows;
    private bool _perRow;

    public static LengthMask Of(BlockMask like, ReadOnlySpan<int> lengths, bool perRow)
    {
        var mask = like.Alike<LengthMask>();
        Copy(lengths, ref mask._lengths);
        (mask._rows, mask._perRow) = (lengths.Length, perRow);
        return mask;
    }

    public override int Batch => _perRow ? _rows : base.Batch;

    protected override (int From, int To) Range(int batch, int position) => (0, _lengths[_perRow ? batch : 0]);
}
