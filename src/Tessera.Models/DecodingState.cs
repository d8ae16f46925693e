using Tessera.Nn;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>Rows of sequences that are being decoded: their caches, how far each has come, and what their encoder said.</summary>
public sealed class DecodingState
{
    private readonly int[] _positions;
    private readonly int[] _before;
    private readonly IReadOnlyList<PositionEncoding> _changing;
    private List<int>[] _read;

    /// <summary>The state of sequences that have not begun.</summary>
    /// <param name="caches">Made for at least as many rows.</param>
    /// <param name="first">The tokens that each row is to read first.</param>
    /// <param name="maxRows">How many rows there may be later.</param>
    /// <param name="changing">The encodings that may mark positions anew as sequences grow.</param>
    /// <param name="memory">Owned [maxRows, source length, width], the first rows set; null without an encoder.</param>
    /// <param name="memoryLengths">Owned I32 [maxRows]; null without an encoder.</param>
    internal DecodingState(CacheSet caches, IReadOnlyList<int[]> first, int maxRows, IReadOnlyList<PositionEncoding>? changing = null, Tensor? memory = null, Tensor? memoryLengths = null)
    {
        (Caches, First, Memory, MemoryLengths) = (caches, first, memory, memoryLengths);
        Rows = first.Count;
        (_positions, _before) = (new int[maxRows], new int[maxRows]);
        _changing = changing ?? [];
        _read = _changing.Count == 0 ? [] : [.. first.Select(_ => new List<int>())];
    }

    /// <summary>How many rows there are.</summary>
    public int Rows { get; private set; }

    /// <summary>The tokens each row is to read first.</summary>
    public IReadOnlyList<int[]> First { get; }

    /// <summary>Bytes held by the caches.</summary>
    public long CacheBytes => Caches.Bytes;

    /// <summary>Whether tokens may have to be read again.</summary>
    internal bool ReadsAgain => _changing.Count > 0;

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
        if (ReadsAgain) _read = [.. rows.ToArray().Select(row => new List<int>(_read[row]))];
        Rows = rows.Length;
    }

    /// <summary>The tokens to be read next: those given, or all since the beginning, with nothing remembered, where their positions
    /// are marked otherwise in a sequence that has become so long.</summary>
    internal IReadOnlyList<int[]> ToRead(IReadOnlyList<int[]> tokens)
    {
        if (!ReadsAgain) return tokens;
        var before = _read.Max(row => row.Count);
        for (var row = 0; row < Rows; row++) _read[row].AddRange(tokens[row]);
        var after = _read.Max(row => row.Count);
        if (before == 0 || _changing.All(encoding => encoding.Stays(before, after))) return tokens;
        Caches.Clear();
        Positions.Clear();
        return [.. _read.Select(row => row.ToArray())];
    }

    private void Rearrange(Span<int> values, ReadOnlySpan<int> rows)
    {
        values[..Rows].CopyTo(_before);
        for (var row = 0; row < rows.Length; row++) values[row] = _before[rows[row]];
    }
}
