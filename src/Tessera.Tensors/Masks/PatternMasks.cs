using System.Numerics;

namespace Tessera.Tensors;

/// <summary>Every <c>step</c>-th key: counted from the query's position, or the last of each stretch of that many keys.</summary>
internal sealed class CombMask(BlockMask like, int step, bool relative) : BlockMask(like)
{
    public override ulong Row(int batch, int head, int query, int firstKey)
    {
        var tooth = (relative ? Position(batch, query) : step - 1) - firstKey;
        var word = 0UL;
        for (var bit = ((tooth % step) + step) % step; bit < KeysPerWord; bit += step) word |= 1UL << bit;
        return word;
    }
}

/// <summary>Pairs of which the query or the key is a global token.</summary>
internal sealed class GlobalMask : BlockMask
{
    private readonly ulong[] _words;

    public GlobalMask(BlockMask like, ReadOnlySpan<int> positions) : base(like)
    {
        _words = new ulong[(Keys + KeysPerWord - 1) / KeysPerWord];
        foreach (var position in positions)
        {
            if ((uint)position >= (uint)Keys)
                throw new ArgumentException($"global position {position} is not among the {Keys} keys", nameof(positions));
            _words[position / KeysPerWord] |= 1UL << (position % KeysPerWord);
        }
    }

    public override ulong Row(int batch, int head, int query, int firstKey) =>
        IsGlobal(Position(batch, query)) ? ulong.MaxValue : _words[firstKey / KeysPerWord];

    public override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
    {
        var columns = _words[firstKey / KeysPerWord] & Bits(0, keys);
        if (BitOperations.PopCount(columns) == keys) return Coverage.All;
        var rows = 0;
        for (var query = firstQuery; query < firstQuery + queries; query++) rows += IsGlobal(Position(batch, query)) ? 1 : 0;
        return rows == queries ? Coverage.All : rows == 0 && columns == 0 ? Coverage.None : Coverage.Some;
    }

    private bool IsGlobal(int position) =>
        (uint)position < (uint)Keys && (_words[position / KeysPerWord] >> (position % KeysPerWord) & 1) != 0;
}
