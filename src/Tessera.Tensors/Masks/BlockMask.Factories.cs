namespace Tessera.Tensors;

public abstract partial class BlockMask
{
    /// <summary>Every query sees every key.</summary>
    /// <param name="queries">Number of queries.</param>
    /// <param name="keys">Number of keys.</param>
    public static BlockMask Full(int queries, int keys) => FullMask.Of(queries, keys);

    /// <summary>Query <c>i</c> sees the keys <c>j ≤ i + keys − queries</c>: itself and what came before it.</summary>
    /// <param name="queries">Number of queries, the last ones of the sequence.</param>
    /// <param name="keys">Number of keys, cached ones included.</param>
    public static BlockMask Causal(int queries, int keys) => BandMask.Of(Full(queries, keys), BandMask.Unbounded, 0);

    /// <summary>As <see cref="Causal(int, int)"/> for batch rows of different lengths in one cache: the queries of row
    /// <c>b</c> are the last of its <c>lengths[b]</c> keys; what lies beyond is not seen.</summary>
    /// <param name="queries">Number of queries of each row.</param>
    /// <param name="keys">Number of keys of the longest row.</param>
    /// <param name="lengths">Keys of each row, 0 to <paramref name="keys"/>.</param>
    /// <exception cref="ArgumentException">A length is out of range.</exception>
    public static BlockMask Causal(int queries, int keys, ReadOnlySpan<int> lengths)
    {
        RequireLengths(lengths, keys);
        return BandMask.Of(FullMask.EndingAt(lengths, queries, keys), BandMask.Unbounded, 0);
    }

    /// <summary>The pairs for which a table holds something other than 0.</summary>
    /// <param name="table">I32 [batch or 1, heads or 1, queries, keys]; leading axes may be left out. It is copied, a bit a pair.</param>
    /// <exception cref="ShapeException">The table is not I32 of 2 to 4 axes.</exception>
    public static BlockMask Table(Tensor table) => new TableMask(table);

    /// <summary>Each head has its own mask, all of one extent.</summary>
    /// <exception cref="ArgumentException">There is no mask, or extents differ.</exception>
    public static BlockMask PerHead(params ReadOnlySpan<BlockMask> heads) => new PerHeadMask(heads.ToArray());

    /// <summary>Only pairs with <c>i − j &lt; window</c>, <c>i</c> being the query's position: with <see cref="Causal(int, int)"/>
    /// a sliding window of that many keys, the query's own included.</summary>
    /// <param name="window">At least 1.</param>
    public BlockMask Within(int window)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(window, 1);
        return And(BandMask.Of(this, window - 1, BandMask.Unbounded));
    }

    /// <summary>Only pairs with <c>|i − j| ≤ distance</c>: a window to both sides.</summary>
    /// <param name="distance">At least 0.</param>
    public BlockMask Around(int distance)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(distance);
        return And(BandMask.Of(this, distance, distance));
    }

    /// <summary>Only pairs whose distance is a multiple of <paramref name="dilation"/>.</summary>
    /// <param name="dilation">At least 1.</param>
    public BlockMask Spaced(int dilation)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(dilation, 1);
        return And(CombMask.Of(this, dilation, relative: true));
    }

    /// <summary>A window of <paramref name="window"/> keys that are <paramref name="dilation"/> apart:
    /// <c>i − j &lt; window·dilation</c> and a multiple of the dilation (Longformer,
    /// <see href="https://arxiv.org/abs/2004.05150"/>).</summary>
    public BlockMask Dilated(int window, int dilation) => Spaced(dilation).Within(checked(window * dilation));

    /// <summary>Only keys at the end of each stretch of <paramref name="stride"/>: <c>(j + 1) mod stride = 0</c>. The fixed
    /// pattern of Sparse Transformers (Child et al. 2019, <see href="https://arxiv.org/abs/1904.10509"/>) is
    /// <c>causal.Within(stride).Or(causal.Strided(stride))</c>.</summary>
    /// <param name="stride">At least 1.</param>
    public BlockMask Strided(int stride)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(stride, 1);
        return And(CombMask.Of(this, stride, relative: false));
    }

    /// <summary>Only pairs of the same chunk: <c>⌊i / size⌋ = ⌊j / size⌋</c>.</summary>
    /// <param name="size">At least 1.</param>
    public BlockMask Chunked(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        return And(ChunkMask.Of(this, size));
    }

    /// <summary>Only the first <paramref name="length"/> keys; <c>causal.Or(full.Prefix(n))</c> is the mask of a prefix language
    /// model.</summary>
    /// <param name="length">At least 0.</param>
    public BlockMask Prefix(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return And(LengthMask.Of(this, [length], perRow: false));
    }

    /// <summary>Only the first <c>lengths[b]</c> keys in batch row <c>b</c>: what follows is padding.</summary>
    /// <param name="lengths">One number a batch row, 0 to <see cref="Keys"/>; copied.</param>
    /// <exception cref="ArgumentException">A length is out of range.</exception>
    public BlockMask Lengths(ReadOnlySpan<int> lengths)
    {
        RequireLengths(lengths, Keys);
        return And(LengthMask.Of(this, lengths, perRow: true));
    }

    /// <summary>As <see cref="Lengths(ReadOnlySpan{int})"/>, from an I32 tensor [batch]; copied.</summary>
    public BlockMask Lengths(Tensor lengths) => Lengths(lengths.Ints);

    /// <summary>Only pairs of which one is among the first <paramref name="tokens"/> positions: global tokens see and are seen by
    /// everything (Longformer, BigBird). A window with global tokens is <c>mask.Around(w).Or(mask.Global(n))</c>.</summary>
    /// <param name="tokens">At least 0.</param>
    public BlockMask Global(int tokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        return And(GlobalMask.Of(this, Math.Min(tokens, Keys)));
    }

    /// <summary>As <see cref="Global(int)"/>, for tokens at any <paramref name="positions"/>, each 0 to <see cref="Keys"/> − 1.</summary>
    /// <exception cref="ArgumentException">A position is out of range.</exception>
    public BlockMask Global(ReadOnlySpan<int> positions)
    {
        return And(GlobalMask.Of(this, positions));
    }

    /// <summary>Only pairs of the same segment, for sequences packed into one row.</summary>
    /// <param name="queries">I32 [batch, queries]: the segment of each query; negative for padding, which sees nothing.</param>
    /// <param name="keys">I32 [batch, at least <see cref="Keys"/>]: the segment of each key; negative ones are not seen.</param>
    /// <exception cref="ShapeException">A tensor has another shape. They are not copied and must live as long as the mask.</exception>
    public BlockMask Segments(Tensor queries, Tensor keys) => And(SegmentMask.Of(this, queries, keys));

    /// <summary>Only keys of chosen blocks: as in MoBA (<see href="https://arxiv.org/abs/2502.13189"/>) each query has its own
    /// list.</summary>
    /// <param name="chosen">I32 [batch or 1, heads or 1, ⌈queries / queriesEach⌉, top]: indices of blocks in any order;
    /// negative ones stand for none. Not copied; must live as long as the mask.</param>
    /// <param name="size">Keys in a block, at least 1.</param>
    /// <param name="queriesEach">How many consecutive queries share one list, at least 1.</param>
    /// <exception cref="ShapeException">The tensor has another shape.</exception>
    public BlockMask Blocks(Tensor chosen, int size, int queriesEach = 1) => And(ChosenBlocksMask.Of(this, chosen, size, queriesEach));

    /// <summary>Only keys of <paramref name="count"/> random blocks, drawn once for each head and block of queries (BigBird,
    /// <see href="https://arxiv.org/abs/2007.14062"/>): <c>mask.Around(w).Or(mask.Global(g)).Or(mask.RandomBlocks(…))</c>.</summary>
    /// <param name="heads">Number of query heads.</param>
    /// <param name="size">Queries and keys in a block, at least 1.</param>
    /// <param name="count">Different blocks for each; all where there are not as many.</param>
    /// <param name="random">Which draw.</param>
    public BlockMask RandomBlocks(int heads, int size, int count, CounterRandom random) =>
        Blocks(ChosenBlocksMask.Draw(this, heads, size, count, random), size, size);

    /// <summary>Only pairs that both masks allow.</summary>
    /// <exception cref="ArgumentException">The masks differ in extent.</exception>
    public BlockMask And(BlockMask other) =>
        this is FullMask ? RequireSameExtent(this, other)
        : other is FullMask ? RequireSameExtent(other, this)
        : CombinedMask.Of(this, other, both: true);

    /// <summary>The pairs that either mask allows.</summary>
    /// <exception cref="ArgumentException">The masks differ in extent.</exception>
    public BlockMask Or(BlockMask other) => CombinedMask.Of(this, other, both: false);

    private protected static BlockMask RequireSameExtent(BlockMask mask, BlockMask other) =>
        (mask.Queries, mask.Keys) == (other.Queries, other.Keys)
            ? other
            : throw new ArgumentException(
                $"masks of {mask.Queries} queries x {mask.Keys} keys and of {other.Queries} x {other.Keys} cannot be combined",
                nameof(other));

    private static void RequireLengths(ReadOnlySpan<int> lengths, int keys)
    {
        for (var batch = 0; batch < lengths.Length; batch++)
        {
            if ((uint)lengths[batch] > (uint)keys)
                throw new ArgumentException(
                    $"the length of batch row {batch} is {lengths[batch]}; 0 to {keys} is allowed", nameof(lengths));
        }
    }

    /// <summary>The mask that leaves nothing out; it also carries where the queries of each batch row start.</summary>
    private sealed class FullMask : BlockMask
    {
        public static FullMask Of(int queries, int keys)
        {
            var mask = Arena.Current.Lend(static () => new FullMask());
            mask.SetExtent(queries, keys);
            return mask;
        }

        /// <summary>The queries of a row are the last of its keys.</summary>
        public static FullMask EndingAt(ReadOnlySpan<int> lengths, int queries, int keys)
        {
            var mask = Of(queries, keys);
            Copy(lengths, ref mask._starts);
            mask._startCount = lengths.Length;
            for (var batch = 0; batch < lengths.Length; batch++) mask._starts[batch] -= queries;
            return mask;
        }

        public override ulong Row(int batch, int head, int query, int firstKey) => ulong.MaxValue;

        public override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys) => Coverage.All;
    }
}
