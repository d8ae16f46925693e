using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Rows of sequences that are being decoded: their caches, how far each has come, and what their encoder said.</summary>
public sealed class DecodingState
{
    private readonly int[] _positions;
    private readonly int[] _before;

    /// <summary>The state of sequences that have not begun.</summary>
    /// <param name="caches">Made for at least as many rows.</param>
    /// <param name="first">The tokens that each row is to read first.</param>
    /// <param name="mostRows">How many rows there may be later.</param>
    /// <param name="memory">Owned [mostRows, source length, width], the first rows set; null without an encoder.</param>
    /// <param name="memoryLengths">Owned I32 [mostRows]; null without an encoder.</param>
    internal DecodingState(CacheSet caches, IReadOnlyList<int[]> first, int mostRows, Tensor? memory = null, Tensor? memoryLengths = null)
    {
        (Caches, First, Memory, MemoryLengths) = (caches, first, memory, memoryLengths);
        Rows = first.Count;
        (_positions, _before) = (new int[mostRows], new int[mostRows]);
    }

    /// <summary>How many rows there are.</summary>
    public int Rows { get; private set; }

    /// <summary>The tokens each row is to read first.</summary>
    public IReadOnlyList<int[]> First { get; }

    /// <summary>Bytes held by the caches.</summary>
    public long CacheBytes => Caches.Bytes;

    internal CacheSet Caches { get; }

    internal Tensor? Memory { get; }

    internal Tensor? MemoryLengths { get; }

    /// <summary>The position of each row's next token.</summary>
    internal Span<int> Positions => _positions.AsSpan(0, Rows);

    /// <summary>Rearranges the rows: row i becomes what row <paramref name="rows"/>[i] was; rows may be repeated or left out.</summary>
    /// <exception cref="ArgumentException">There are more rows than the state was made for, or one does not exist.</exception>
    /// <exception cref="InvalidOperationException">The rows have not read anything yet.</exception>
    public void Select(ReadOnlySpan<int> rows)
    {
        if (rows.Length > _positions.Length) throw new ArgumentException($"{rows.Length} rows for a state of at most {_positions.Length}");
        foreach (var row in rows)
            if ((uint)row >= (uint)Rows) throw new ArgumentException($"there is no row {row}; rows: {Rows}");

        // What the encoder said reaches the caches at the first step and is rearranged only there.
        if (Positions.Contains(0)) throw new InvalidOperationException("rows can be rearranged once each has read its first tokens");

        Caches.Select(rows);
        Rearrange(_positions, rows);
        if (MemoryLengths is not null) Rearrange(MemoryLengths.Ints, rows);
        Rows = rows.Length;
    }

    private void Rearrange(Span<int> values, ReadOnlySpan<int> rows)
    {
        values[..Rows].CopyTo(_before);
        for (var row = 0; row < rows.Length; row++) values[row] = _before[rows[row]];
    }
}
