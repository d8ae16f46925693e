namespace Tessera.Tensors.Tests.Caches;

/// <summary>Keys and values of some batch rows in blocks of random numbers, of which those that no query sees are not kept.</summary>
internal sealed class CachedTokens
{
    public CachedTokens(Tensor keys, Tensor values, BlockMask mask, int seed, ElementType type = ElementType.F32)
    {
        (Keys, Values) = (Pool(keys, type), keys == values ? null! : Pool(values, type));
        if (keys == values) Values = Keys;
        var (rows, tiles) = (keys.Shape[0], (mask.Keys + TokenBlocks.Size - 1) / TokenBlocks.Size);
        Table = BlockTable.Of(rows, tiles + 1);
        Shuffle(rows * tiles, seed);
        for (var row = 0; row < rows; row++)
        {
            for (var tile = 0; tile < tiles; tile++)
            {
                if (!IsSeen(mask, row, tile)) continue;
                var count = Math.Min(TokenBlocks.Size, keys.Shape[1] - (tile * TokenBlocks.Size));
                Table[row, tile] = Store(keys, values, (row * keys.Shape[1]) + (tile * TokenBlocks.Size), count);
            }
        }
    }

    public TokenBlocks Keys { get; }

    public TokenBlocks Values { get; }

    public BlockTable Table { get; }

    /// <summary>Whether a query of the row sees a key of the tile.</summary>
    public static bool IsSeen(BlockMask mask, int row, int tile)
    {
        for (var head = 0; head < Math.Max(mask.Heads, 1); head++)
            for (var query = 0; query < mask.Queries; query++)
                for (var key = tile * TokenBlocks.Size; key < Math.Min(mask.Keys, (tile + 1) * TokenBlocks.Size); key++)
                    if (mask.Allows(row, head, query, key)) return true;
        return false;
    }

    private static TokenBlocks Pool(Tensor rows, ElementType type) => new(rows.Shape[2], rows.Shape[3], type);

    /// <summary>Takes blocks and gives them back in any order, so that they are taken in any order the next time.</summary>
    private void Shuffle(int count, int seed)
    {
        var blocks = new int[count + 3];
        foreach (ref var block in blocks.AsSpan()) block = Take();
        new CounterRandom((ulong)seed).Shuffle<int>(blocks);
        foreach (var block in blocks.AsSpan(3))
        {
            Keys.Release(block);
            if (Values != Keys) Values.Release(block);
        }
    }

    private int Store(Tensor keys, Tensor values, int firstRow, int count)
    {
        var block = Take();
        Keys.Write(block, 0, keys, firstRow, count);
        if (Values != Keys) Values.Write(block, 0, values, firstRow, count);
        return block;
    }

    private int Take()
    {
        var block = Keys.Take();
        if (Values != Keys) Assert.Equal(block, Values.Take());
        return block;
    }
}
