namespace Tessera.Tensors;

/// <summary>See <see cref="ScoreBias.Relative"/>.</summary>
internal sealed class RelativeBias : ScoreBias
{
    private Tensor _queries = null!, _keys = null!;

    public static RelativeBias Of(Tensor positionQueries, Tensor positionKeys, int firstDistance, float? scale)
    {
        var (q, k) = (positionQueries.Shape, positionKeys.Shape);
        ShapeException.Require(
            positionQueries.Type == ElementType.F32 && q.Rank == 4 && q.Width > 0, "relative bias", "position queries", positionQueries,
            "F32 [batch, queries, heads, width]");
        ShapeException.Require(
            positionKeys.Type == ElementType.F32 && k.Rank == 3 && k[0] > 0 && k[1] == q[2] && k[2] == q[3],
            "relative bias", "position keys", positionKeys, "position queries", positionQueries);
        var bias = Arena.Current.Lend(static () => new RelativeBias());
        (bias._queries, bias._keys) = (positionQueries, positionKeys);
        (bias.FirstDistance, bias.Scale) = (firstDistance, scale ?? 1 / MathF.Sqrt(q.Width));
        return bias;
    }

    public Tensor PositionQueries => Live(_queries);

    public Tensor PositionKeys => Live(_keys);

    public int FirstDistance { get; private set; }

    public float Scale { get; private set; }

    internal override (Tensor First, Tensor? Second) Inputs => (PositionQueries, PositionKeys);

    internal override void Require(Tensor queries, BlockMask mask)
    {
        var (q, p) = (queries.Shape, PositionQueries.Shape);
        ShapeException.Require(
            p[0] == q[0] && p[1] == q[1] && p[2] == q[2], "attention", "position queries", PositionQueries, "queries", queries);
    }

    protected override void Forget() => _queries = _keys = null!;
}
