using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of <see cref="AlibiPositions"/>; <c>"kind": "alibi"</c> in a recipe.</summary>
public sealed record AlibiOptions : PositionOptions
{
    /// <inheritdoc/>
    public override PositionEncoding Build(PartBuilder part, int heads = 1) => new AlibiPositions(heads);
}

/// <summary>
/// Attention with linear biases: the score of a key at distance d is lowered by <c>slope · d</c>, with a slope for each head,
/// <c>2^(−8h/heads)</c> for heads h = 1, 2 … where their number is a power of two. No parameters, no longest sequence; memory
/// O(heads · n²) while a whole sequence is attended to.
/// <para>Press, Smith, Lewis 2021, <see href="https://arxiv.org/abs/2108.12409"/>.</para>
/// </summary>
public sealed class AlibiPositions : PositionEncoding
{
    private readonly float[] _slopes;

    internal AlibiPositions(int heads) => _slopes = [.. SlopesOf(heads)];

    /// <summary>How much a score falls from one position to the next, for each head.</summary>
    public IReadOnlyList<float> Slopes => _slopes;

    /// <inheritdoc/>
    public override bool ActsOnEmbeddings => false;

    /// <inheritdoc/>
    public override bool ActsOnScores => true;

    /// <inheritdoc/>
    public override int Positions => int.MaxValue;

    /// <inheritdoc/>
    public override Tensor Score(Tensor distances, bool isBidirectional)
    {
        var (queries, keys) = (distances.Shape[^2], distances.Shape[^1]);
        var places = queries * keys;
        var y = Tensor.Temporary(distances.Shape.Rank == 2 ? [_slopes.Length, queries, keys] : [distances.Shape[0], _slopes.Length, queries, keys]);
        var from = distances.Ints;
        var to = y.Floats;
        for (var plane = 0; plane < to.Length / Math.Max(1, places); plane++)
        {
            var slope = _slopes[plane % _slopes.Length];
            var row = from.Slice(plane / _slopes.Length * places, places);
            var scores = to.Slice(plane * places, places);
            for (var i = 0; i < places; i++) scores[i] = -slope * Math.Abs(row[i]);
        }

        return y;
    }

    /// <summary>For a number of heads that is not a power of two: the slopes of the power below, then every other one of the
    /// power above, as the authors' code has them.</summary>
    private static IEnumerable<float> SlopesOf(int heads)
    {
        var power = 1 << (int)Math.Log2(heads);
        for (var head = 1; head <= power; head++) yield return (float)Math.Pow(2, -8.0 * head / power);
        for (var head = 1; head <= heads - power; head++) yield return (float)Math.Pow(2, -8.0 * ((2 * head) - 1) / (2 * power));
    }
}
