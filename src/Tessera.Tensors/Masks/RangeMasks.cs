namespace Tessera.Tensors;

/// <summary>A mask under which each query sees one range of keys, whose ends do not go back from one query to the next.</summary>
internal abstract class RangeMask(BlockMask like) : BlockMask(like)
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
}

/// <summary>From <c>back</c> keys before the query's position to <c>ahead</c> keys after it: causal masks and windows.</summary>
internal sealed class BandMask(BlockMask like, int back, int ahead) : RangeMask(like)
{
    /// <summary>A distance beyond every sequence, small enough that sums with positions do not overflow.</summary>
    public const int Unbounded = 1 << 30;

    private readonly int _back = Math.Min(back, Unbounded), _ahead = Math.Min(ahead, Unbounded);

    protected override (int From, int To) Range(int batch, int position) => (position - _back, position + _ahead + 1);
}

/// <summary>The chunk that the query's position falls into.</summary>
internal sealed class ChunkMask(BlockMask like, int size) : RangeMask(like)
{
    protected override (int From, int To) Range(int batch, int position)
    {
        var from = (position / size) - (position % size < 0 ? 1 : 0); // rounds down before the first key too
        return (from * size, (from + 1) * size);
    }
}

/// <summary>The first keys: as many for every batch row, or a number for each.</summary>
internal sealed class LengthMask(BlockMask like, int[] lengths, bool perRow) : RangeMask(like)
{
    public override int Batch => perRow ? lengths.Length : base.Batch;

    protected override (int From, int To) Range(int batch, int position) => (0, lengths[perRow ? batch : 0]);
}
