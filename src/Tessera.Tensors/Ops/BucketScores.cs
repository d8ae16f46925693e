namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Looks up one number a head and pair: <c>y[…, h, q, k] = table[buckets[…, q, k], h]</c>, a bias for
    /// <see cref="AttentionSettings.Bias"/> (Raffel et al. 2019, arXiv 1910.10683).</summary>
    /// <param name="table">[number of buckets, heads].</param>
    /// <param name="buckets">I32 [queries, keys] or [batch, queries, keys]: rows of the table.</param>
    /// <returns>[heads, queries, keys] or [batch, heads, queries, keys].</returns>
    /// <exception cref="ShapeException">A bucket is not a row of the table.</exception>
    public static Tensor BucketScores(Tensor table, Tensor buckets)
    {
        ShapeException.Require(table.Shape.Rank == 2, "bucket scores", "table", table, "[buckets, heads]");
        ShapeException.Require(
            buckets.Type == ElementType.I32 && buckets.Shape.Rank is 2 or 3, "bucket scores", "buckets", buckets, "I32 [queries, keys] or [batch, queries, keys]");
        var (rows, heads) = (table.Shape[0], table.Shape[1]);
        var ids = buckets.Ints;
        foreach (var id in ids)
            if ((uint)id >= (uint)rows) throw new ShapeException($"bucket scores: bucket {id} is outside a table of {rows}");

        var (queries, keys) = (buckets.Shape[^2], buckets.Shape[^1]);
        var y = Tensor.Temporary(buckets.Shape.Rank == 2 ? [heads, queries, keys] : [buckets.Shape[0], heads, queries, keys]);
        var pairs = queries * keys;
        var from = table.Floats;
        var to = y.Floats;
        for (var plane = 0; plane < to.Length / Math.Max(1, pairs); plane++)
        {
            var places = ids.Slice(plane / heads * pairs, pairs);
            var scores = to.Slice(plane * pairs, pairs);
            for (var i = 0; i < pairs; i++) scores[i] = from[(places[i] * heads) + (plane % heads)];
        }

        if (Tape.Write<BucketScoresEntry>(y, table) is { } entry) (entry.Table, entry.Buckets) = (table, buckets);
        GC.KeepAlive(table);
        GC.KeepAlive(buckets);
        return y;
    }

    private sealed class BucketScoresEntry : TapeEntry
    {
        public Tensor Table = null!, Buckets = null!;

        public override void Backward()
        {
            var heads = Table.Shape[1];
            var pairs = Buckets.Shape[^2] * Buckets.Shape[^1];
            var slopes = OutputGradient;
            var gradient = Table.Slot!.Add();
            var ids = Buckets.Ints;
            for (var plane = 0; plane < slopes.Length / Math.Max(1, pairs); plane++)
            {
                var places = ids.Slice(plane / heads * pairs, pairs);
                var from = slopes.Slice(plane * pairs, pairs);
                for (var i = 0; i < pairs; i++) gradient[(places[i] * heads) + (plane % heads)] += from[i];
            }
        }
    }
}
