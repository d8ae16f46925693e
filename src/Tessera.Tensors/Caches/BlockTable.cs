using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace Tessera.Tensors;

/// <summary>
/// Where the tokens of each batch row are kept: entry <c>[row, i]</c> is the block of <see cref="TokenBlocks"/> that holds the
/// positions <c>64 i</c> to <c>64 i + 63</c>, or <see cref="None"/> where they are not kept, as those that have left a window.
/// <para>A table made in a scope of the <see cref="Arena"/> lives until the scope ends; one made outside of any may be kept.</para>
/// </summary>
public sealed unsafe class BlockTable : Recycled
{
    /// <summary>The entry of positions that are not kept; no mask may let a query see them.</summary>
    public const int None = -1;

    /// <summary>A table has room for so many from the beginning, and then doubles: a sequence that grows by a block takes no memory for
    /// it.</summary>
    private const int FewestEntries = 1024;

    private NativeBuffer? _entries;

    private BlockTable()
    {
    }

    /// <summary>Batch rows.</summary>
    public int Rows { get => Live(field); private set; }

    /// <summary>Entries of each row.</summary>
    public int BlocksPerRow { get => Live(field); private set; }

    /// <summary>The entries, row by row: what kernels read.</summary>
    internal nint Address => Live(_entries!).Address;

    /// <summary>The block of some positions of a row.</summary>
    /// <param name="row">0 to <see cref="Rows"/> − 1.</param>
    /// <param name="index">0 to <see cref="BlocksPerRow"/> − 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such entry, or the block is below <see cref="None"/>.</exception>
    public int this[int row, int index]
    {
        get => Entry(row, index);
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, None);
            Entry(row, index) = value;
        }
    }

    /// <summary>A table in which nothing is kept yet.</summary>
    /// <param name="rows">Batch rows, at least 0.</param>
    /// <param name="blocksPerRow">Entries of each, at least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative.</exception>
    public static BlockTable Of(int rows, int blocksPerRow)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(blocksPerRow);
        var table = Arena.Current.Lend(static () => new BlockTable());
        var entries = checked(rows * blocksPerRow);
        NativeBuffer.AtLeast(
            ref table._entries, Math.Max(FewestEntries, BitOperations.RoundUpToPowerOf2((uint)entries)) * (long)sizeof(int));
        (table.Rows, table.BlocksPerRow) = (rows, blocksPerRow);
        new Span<int>((void*)table.Address, entries).Fill(None);
        return table;
    }

    /// <summary>Requires that what the mask lets through is kept, in blocks that both pools hold.</summary>
    /// <returns>The first entry that any row keeps, of those about the mask's keys.</returns>
    /// <exception cref="ArgumentException">The mask lets through what is not kept, or a block is not held.</exception>
    internal int Require(BlockMask mask, TokenBlocks keys, TokenBlocks values)
    {
        var tiles = (mask.Keys + TokenBlocks.Size - 1) / TokenBlocks.Size;
        var first = tiles;
        for (var row = 0; row < Rows; row++)
        {
            var entries = new ReadOnlySpan<int>((int*)Address + ((long)row * BlocksPerRow), tiles);
            var kept = entries.IndexOfAnyExcept(None);
            if (kept >= 0) first = Math.Min(first, kept);
            for (var tile = Math.Max(kept, 0); tile < tiles; tile++)
            {
                if (entries[tile] == None) continue;
                keys.Require(entries[tile]);
                if (values != keys) values.Require(entries[tile]);
            }

            RequireKept(mask, row, entries);
        }

        GC.KeepAlive(this);
        return first;
    }

    private static void RequireKept(BlockMask mask, int row, ReadOnlySpan<int> entries)
    {
        var tile = 0;
        while (entries[tile..].IndexOf(None) is var missing and >= 0)
        {
            tile += missing;
            var next = mask.NextKey(row, tile * TokenBlocks.Size) / TokenBlocks.Size;
            if (next >= entries.Length) return;
            if (next == tile) RequireHidden(mask, row, tile++);
            else tile = next;
        }
    }

    private static void RequireHidden(BlockMask mask, int row, int tile)
    {
        var firstKey = tile * TokenBlocks.Size;
        var keys = Math.Min(TokenBlocks.Size, mask.Keys - firstKey);
        for (var head = 0; head < Math.Max(mask.Heads, 1); head++)
        {
            for (var first = 0; first < mask.Queries; first += TokenBlocks.Size)
            {
                var queries = Math.Min(TokenBlocks.Size, mask.Queries - first);
                if (mask.Tile(row, head, first, queries, firstKey, keys) == Coverage.None) continue;
                for (var query = first; query < first + queries; query++)
                {
                    var seen = mask.Row(row, head, query, firstKey) & (ulong.MaxValue >> (TokenBlocks.Size - keys));
                    if (seen != 0) ThrowMissing(row, query, firstKey + BitOperations.TrailingZeroCount(seen), tile);
                }
            }
        }
    }

    [DoesNotReturn]
    private static void ThrowMissing(int row, int query, int position, int tile) => throw new ArgumentException(
        $"attention: query {query} of batch row {row} sees position {position}, which is not kept: " +
        $"entry [{row}, {tile}] of the table is {None}");

    /// <inheritdoc/>
    protected override void Forget() => (Rows, BlocksPerRow) = (0, 0);

    private ref int Entry(int row, int index)
    {
        if ((uint)row >= (uint)Rows || (uint)index >= (uint)BlocksPerRow) ThrowNoEntry(row, index);
        return ref ((int*)Address)[((long)row * BlocksPerRow) + index];
    }

    [DoesNotReturn]
    private void ThrowNoEntry(int row, int index) => throw new ArgumentOutOfRangeException(
        nameof(index), $"block table: there is no entry [{row}, {index}] among {Rows} rows of {BlocksPerRow} blocks");
}
