namespace Tessera.Tensors;

/// <summary>See <see cref="ScoreBias.Buckets"/>.</summary>
internal sealed class BucketBias : DistanceBias
{
    private readonly DistanceBuckets _buckets = new();
    private Tensor _table = null!;

    public static BucketBias Of(Tensor table, int maxDistance, bool bidirectional)
    {
        var min = bidirectional ? 4 : 2;
        ShapeException.Require(
            table.Type == ElementType.F32 && table.Shape.Rank == 2 && table.Shape[0] >= min, "bucket bias", "table", table,
            $"F32 [buckets, heads] of at least {min} buckets");
        var bias = Arena.Current.Lend(static () => new BucketBias());
        bias._buckets.Set(table.Shape[0], maxDistance, bidirectional);
        bias._table = table;
        return bias;
    }

    public override int Heads => Live(_table).Shape[1];

    public override int LearnedOfHead => _table.Shape[0];

    internal override (Tensor First, Tensor? Second) Inputs => (Live(_table), null);

    public override void Fill(int head, int first, Span<float> strip)
    {
        var heads = Heads;
        var table = _table.Floats;
        for (var n = 0; n < strip.Length;)
        {
            var (bucket, last) = _buckets.Of(first + n);
            var next = (int)Math.Min(strip.Length, last - first + 1);
            strip[n..next].Fill(Quiet(table[(bucket * heads) + head]));
            n = next;
        }
    }

    public override void Collect(int first, ReadOnlySpan<float> strip, Span<double> sums)
    {
        for (var n = 0; n < strip.Length;)
        {
            var (bucket, last) = _buckets.Of(first + n);
            var next = (int)Math.Min(strip.Length, last - first + 1);
            for (; n < next; n++) sums[bucket] += strip[n];
        }
    }

    public override void AddGradient(ReadOnlySpan<double> sums)
    {
        var (heads, buckets) = (Heads, LearnedOfHead);
        var gradient = _table.Slot!.Add();
        for (var i = 0; i < gradient.Length; i++) gradient[i] += (float)sums[(i % heads * buckets) + (i / heads)];
    }

    protected override void Forget() => _table = null!;
}
