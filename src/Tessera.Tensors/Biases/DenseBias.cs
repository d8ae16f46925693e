namespace Tessera.Tensors;

/// <summary>See <see cref="ScoreBias.Dense"/>.</summary>
internal sealed class DenseBias : ScoreBias
{
    private Tensor _table = null!;

    public static DenseBias Of(Tensor bias)
    {
        ShapeException.Require(
            bias.Type == ElementType.F32 && bias.Shape.Rank is 3 or 4, "dense bias", "bias", bias,
            "F32 [heads, queries, keys] or [batch, heads, queries, keys]");
        var dense = Arena.Current.Lend(static () => new DenseBias());
        dense._table = bias;
        return dense;
    }

    /// <summary>[heads, queries, keys], with or without batch rows before it.</summary>
    public Tensor Table => Live(_table);

    internal override (Tensor First, Tensor? Second) Inputs => (Table, null);

    internal override void Require(Tensor queries, BlockMask mask)
    {
        var (batch, heads) = (queries.Shape[0], queries.Shape[2]);
        if (Table.Shape != [heads, mask.Queries, mask.Keys] && Table.Shape != [batch, heads, mask.Queries, mask.Keys])
        {
            throw new ShapeException(
                $"attention: bias is {Table}, expected [{heads}, {mask.Queries}, {mask.Keys}], with or without {batch} before it");
        }
    }

    protected override void Forget() => _table = null!;
}
