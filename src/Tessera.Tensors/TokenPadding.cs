namespace Tessera.Tensors;

/// <summary>Which tokens of a batch, counted row by row, only fill up their row: none of them unless it is made from lengths or
/// segments.</summary>
public readonly struct TokenPadding
{
    private readonly Tensor? _lengths, _segments;
    private readonly int _rowLength;

    private TokenPadding(Tensor? lengths, Tensor? segments, int rowLength) =>
        (_lengths, _segments, _rowLength) = (lengths, segments, rowLength);

    /// <summary>Whether no token is padding.</summary>
    public bool IsNone => _lengths is null && _segments is null;

    /// <summary>How many tokens the batch has, padding among them; 0 where none is padding, of however many.</summary>
    public int Tokens => _lengths is not null ? checked(_lengths.Shape[0] * _rowLength)
        : _segments is not null ? checked((int)_segments.Shape.Count)
        : 0;

    /// <summary>Whether a token is padding.</summary>
    /// <param name="token">From 0, row by row; below <see cref="Tokens"/> where some are padding.</param>
    public bool this[int token]
    {
        get
        {
            var isPadding = _segments is not null ? _segments.Ints[token] < 0
                : _lengths is not null && token % _rowLength >= _lengths.Ints[token / _rowLength];
            GC.KeepAlive(_segments);
            GC.KeepAlive(_lengths);
            return isPadding;
        }
    }

    /// <summary>Rows that are filled up at their end.</summary>
    /// <param name="lengths">I32 [batch]: how many tokens of each row are real.</param>
    /// <param name="rowLength">Tokens of a row.</param>
    /// <exception cref="ShapeException">The lengths are not I32 [batch].</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length of a row is negative.</exception>
    public static TokenPadding After(Tensor lengths, int rowLength)
    {
        ShapeException.Require(
            lengths.Type == ElementType.I32 && lengths.Shape.Rank == 1, "token padding", "lengths", lengths, "I32 [batch]");
        ArgumentOutOfRangeException.ThrowIfNegative(rowLength);
        return new TokenPadding(lengths, null, rowLength);
    }

    /// <summary>Rows of packed segments.</summary>
    /// <param name="segments">I32 [batch, length]: which segment each token belongs to, below 0 for padding.</param>
    /// <exception cref="ShapeException">The segments are not I32 [batch, length].</exception>
    public static TokenPadding Between(Tensor segments)
    {
        ShapeException.Require(
            segments.Type == ElementType.I32 && segments.Shape.Rank == 2, "token padding", "segments", segments, "I32 [batch, length]");
        return new TokenPadding(null, segments, 0);
    }
}
