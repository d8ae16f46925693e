namespace Tessera.Tensors;

/// <summary>What both of two masks allow, or either.</summary>
internal sealed class CombinedMask : BlockMask
{
    private BlockMask _left = null!, _right = null!;
    private bool _both;
    private int _batch, _heads;

    public static CombinedMask Of(BlockMask left, BlockMask right, bool both)
    {
        RequireSameExtent(right, left);
        var mask = (left.HasStarts ? left : right).Alike<CombinedMask>();
        (mask._left, mask._right, mask._both) = (left, right, both);
        mask._batch = Common(left.Batch, right.Batch, "batch rows");
        mask._heads = Common(left.Heads, right.Heads, "heads");
        return mask;
    }

    public override int Batch => _batch;

    public override int Heads => _heads;

    public override ulong Row(int batch, int head, int query, int firstKey)
    {
        var left = _left.Row(batch, head, query, firstKey);
        if (left == (_both ? 0 : ulong.MaxValue)) return left;
        var right = _right.Row(batch, head, query, firstKey);
        return _both ? left & right : left | right;
    }

    public override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var decides = _both ? Coverage.None : Coverage.All;
        var left = _left.Tile(batch, head, firstQuery, queries, firstKey, keys);
        if (left == decides) return decides;
        var right = _right.Tile(batch, head, firstQuery, queries, firstKey, keys);
        return right == decides || left == right ? right : Coverage.Some;
    }

    internal override int NextKey(int batch, int key)
    {
        var (left, right) = (_left.NextKey(batch, key), _right.NextKey(batch, key));
        return _both ? Math.Max(left, right) : Math.Min(left, right);
    }

    internal override (int First, int Last) Reach(int batch, int head, int firstQuery, int queries)
    {
        var (left, right) = (_left.Reach(batch, head, firstQuery, queries), _right.Reach(batch, head, firstQuery, queries));
        return _both
            ? (Math.Max(left.First, right.First), Math.Min(left.Last, right.Last))
            : (Math.Min(left.First, right.First), Math.Max(left.Last, right.Last));
    }

    internal override int ChosenBlock => Math.Max(_left.ChosenBlock, _right.ChosenBlock);

    internal override (ulong Some, ulong All) Seen(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var left = _left.Seen(batch, head, firstQuery, queries, firstKey, keys);
        if (_both && left.Some == 0) return left;
        var right = _right.Seen(batch, head, firstQuery, queries, firstKey, keys);
        return _both ? (left.Some & right.Some, left.All & right.All) : (left.Some | right.Some, left.All | right.All);
    }

    protected override void Forget()
    {
        base.Forget();
        _left = _right = null!;
    }

    private static int Common(int left, int right, string what) =>
        left == right || right == 0 ? left
        : left == 0 ? right
        : throw new ArgumentException($"masks for {left} and for {right} {what} cannot be combined");
}

/// <summary>One mask a head.</summary>
internal sealed class PerHeadMask : BlockMask
{
    private readonly BlockMask[] _heads;

    public PerHeadMask(BlockMask[] heads)
        : base(
            heads.Length > 0 ? heads[0].Queries : throw new ArgumentException("a mask per head needs at least one head", nameof(heads)),
            heads[0].Keys)
    {
        foreach (var head in heads) RequireSameExtent(heads[0], head);
        _heads = heads;
        Batch = heads.Max(head => head.Batch);
        StandAs(heads.FirstOrDefault(head => head.HasStarts, heads[0]));
    }

    public override int Batch { get; }

    public override int Heads => _heads.Length;

    public override ulong Row(int batch, int head, int query, int firstKey) => _heads[head].Row(batch, head, query, firstKey);

    public override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys) =>
        _heads[head].Tile(batch, head, firstQuery, queries, firstKey, keys);

    internal override (int First, int Last) Reach(int batch, int head, int firstQuery, int queries) =>
        _heads[head].Reach(batch, head, firstQuery, queries);

    internal override int ChosenBlock => _heads.Max(head => head.ChosenBlock);

    internal override (ulong Some, ulong All) Seen(int batch, int head, int firstQuery, int queries, int firstKey, int keys) =>
        _heads[head].Seen(batch, head, firstQuery, queries, firstKey, keys);
}
