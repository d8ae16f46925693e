using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Training.Data;

/// <summary>
/// Pieces of texts laid end to end in rows of equal length, so that little is padding; a token sees only its own piece, whose positions count from 0. How texts become pieces is for those who derive from this.
/// </summary>
/// <param name="options">Sizes of batches.</param>
internal abstract class PackedDataset(BatchOptions options) : Dataset
{
    private readonly List<Piece> _pieces = [];
    private readonly List<int> _rows = [];
    private int _room;

    /// <inheritdoc/>
    public override int Count => _rows.Count;

    /// <summary>How many places a row has.</summary>
    protected int Length { get; private set; } = options.Length;

    /// <summary>How many places the row that is being filled has left; never 0.</summary>
    protected int Room => _room == 0 ? Length : _room;

    /// <summary>A stretch of a row.</summary>
    /// <param name="Text">Which text it is of.</param>
    /// <param name="Start">Where in the text it begins.</param>
    /// <param name="Count">How many places of the row it takes, at least 1.</param>
    /// <param name="Arrangement">How the text stands there; for those who derive from this.</param>
    protected readonly record struct Piece(int Text, int Start, int Count, (int First, int Second) Arrangement = default);

    /// <summary>Forgets all pieces, before they are placed anew.</summary>
    protected void Clear()
    {
        _pieces.Clear();
        _rows.Clear();
        _room = 0;
    }

    /// <summary>Takes memory for so many pieces and rows at once.</summary>
    protected void Reserve(int pieces, int rows)
    {
        _pieces.EnsureCapacity(pieces);
        _rows.EnsureCapacity(rows);
    }

    /// <summary>Puts a piece of at most <see cref="Room"/> places into the row that is being filled.</summary>
    protected void Place(Piece piece)
    {
        if (_room == 0) _rows.Add(_pieces.Count);
        _room = Room - piece.Count;
        _pieces.Add(piece);
    }

    /// <summary>The next piece begins a row of its own.</summary>
    protected void EndRow() => _room = 0;

    /// <summary>Writes what a piece reads and what it predicts at each of its places, −1 for nothing.</summary>
    protected abstract void Write(in Piece piece, Span<int> inputs, Span<int> targets);

    /// <inheritdoc/>
    protected override IEnumerable<int[]> Rows()
    {
        for (var row = 0; row < _rows.Count; row++)
        {
            var (inputs, targets) = (new int[Length], new int[Length]);
            Array.Fill(targets, -1);
            var at = 0;
            var (first, end) = PiecesOf(row);
            foreach (var piece in _pieces[first..end])
            {
                Write(piece, inputs.AsSpan(at, piece.Count), targets.AsSpan(at, piece.Count));
                at += piece.Count;
            }

            yield return inputs;
            yield return targets;
        }
    }

    /// <inheritdoc/>
    protected override bool Fit(int length, int sourceLength)
    {
        if (length == Length) return false;
        Length = length;
        return true;
    }

    /// <inheritdoc/>
    protected override void Sort(Span<int> examples, CounterRandom random) => random.Shuffle(examples);

    /// <inheritdoc/>
    protected override void Cut(ReadOnlySpan<int> order, List<(int Start, int Count)> batches)
    {
        var rowsAtOnce = Math.Max(1, options.Tokens / Length);
        for (var start = 0; start < order.Length; start += rowsAtOnce) batches.Add((start, Math.Min(rowsAtOnce, order.Length - start)));
    }

    /// <inheritdoc/>
    protected override Batch Make(ReadOnlySpan<int> examples)
    {
        var (inputs, targets) = (Ids(examples.Length, 0), Ids(examples.Length, -1));
        var (positions, segments) = (Ids(examples.Length, 0), Ids(examples.Length, -1));
        var (predicted, used) = (0, 0);
        for (var place = 0; place < examples.Length; place++)
        {
            var (row, at) = (examples[place], place * Length);
            var (first, end) = PiecesOf(row);
            for (var index = first; index < end; index++)
            {
                var piece = _pieces[index];
                Write(piece, inputs.Ints.Slice(at, piece.Count), targets.Ints.Slice(at, piece.Count));
                for (var i = 0; i < piece.Count; i++) positions.Ints[at + i] = i;
                segments.Ints.Slice(at, piece.Count).Fill(index - first);
                at += piece.Count;
                used += piece.Count;
            }
        }

        foreach (var target in targets.Ints) predicted += target >= 0 ? 1 : 0;
        var batch = Batch.Of(inputs, targets, positions);
        (batch.Segments, batch.TargetTokens, batch.Tokens) = (segments, predicted, used);
        return batch;
    }

    private (int First, int End) PiecesOf(int row) => (_rows[row], row + 1 < _rows.Count ? _rows[row + 1] : _pieces.Count);

    private Tensor Ids(int rows, int value)
    {
        var ids = Tensor.Temporary([rows, Length], ElementType.I32);
        ids.Ints.Fill(value);
        return ids;
    }
}
