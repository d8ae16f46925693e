using System.Numerics;

namespace Tessera.Tensors;

/// <summary>Every <c>step</c>-th key: counted from the query's position, or the last of each stretch of that many keys.</summary>
internal sealed class CombMask : BlockMask
{
    private int _step;
    private bool _relative;

    public static CombMask Of(BlockMask like, int step, bool relative)
    {
        var mask = like.Alike<CombMask>();
        (mask._step, mask._relative) = (step, relative);
        return mask;
    }

    public override ulong Row(int batch, int head, int query, int firstKey)
    {
        var tooth = (_relative ? Position(batch, query) : _step - 1) - firstKey;
        var word = 0UL;
        for (var bit = ((tooth % _step) + _step) % _step; bit < KeysPerWord; bit += _step) word |= 1UL << bit;
        return word;
    }
}

/// <summary>Pairs of which the query or the key is a global token.</summary>
internal sealed class GlobalMask : BlockMask
{
    private ulong[] _words = [];

    public static GlobalMask Of(BlockMask like, ReadOnlySpan<int> positions)
    {
        var mask = Empty(like);
        foreach (var position in positions)
        {
            if ((uint)position >= (uint)mask.Keys)
                throw new ArgumentException($"global position {position} is not among the {mask.Keys} keys", nameof(positions));
            mask.Add(position);
        }

        return mask;
    }

    /// <summary>The first positions.</summary>
    public static GlobalMask Of(BlockMask like, int tokens)
    {
        var mask = Empty(like);
        for (var position = 0; position < tokens; position++) mask.Add(position);
        return mask;
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

    internal override int NextKey(int batch, int key)
    {
        for (var query = 0; query < Queries; query++)
            if (IsGlobal(Position(batch, query))) return key;
        for (; key < Keys; key = (key / KeysPerWord + 1) * KeysPerWord)
            if (_words[key / KeysPerWord] != 0) return key;
        return Keys;
    }

    private static GlobalMask Empty(BlockMask like)
    {
        var mask = like.Alike<GlobalMask>();
        var words = (mask.Keys + KeysPerWord - 1) / KeysPerWord;
        if (mask._words.Length < words) mask._words = new ulong[words];
        Array.Clear(mask._words);
        return mask;
    }

    private void Add(int position) => _words[position / KeysPerWord] |= 1UL << (position % KeysPerWord);

    private bool IsGlobal(int position) =>
        (uint)position < (uint)Keys && (_words[position / KeysPerWord] >> (position % KeysPerWord) & 1) != 0;
}
