using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// <see cref="Attention(Tensor, Tensor, Tensor, BlockMask, in AttentionSettings)"/> to cached tokens, read where they are; from
    /// F32 blocks it gives the bits that it gives from tensors. It is for decoding and has no gradient. What a table does not keep
    /// costs nothing, so that a window over a long sequence costs what the window does.
    /// </summary>
    /// <param name="queries">[batch, queries, heads, width].</param>
    /// <param name="keys">The keys, of width numbers; heads is a multiple of their heads.</param>
    /// <param name="values">The values, in blocks of the same numbers as their keys; may be the keys themselves, with a
    /// <see cref="AttentionSettings.ValueWidth"/>.</param>
    /// <param name="table">Of each batch row the blocks of its positions.</param>
    /// <param name="mask">Who sees whom; its <see cref="BlockMask.Keys"/> are how many positions of the table count.</param>
    /// <param name="settings">Scale, soft cap, sinks, bias, entropies.</param>
    /// <returns>[batch, queries, heads, value width].</returns>
    /// <exception cref="ShapeException">Shapes do not fit each other, the table or the mask.</exception>
    /// <exception cref="ArgumentException">The mask lets a query see a position that is not kept, or a block is not held.</exception>
    /// <exception cref="InvalidOperationException">A tape is recorded that wants a gradient of a tensor given.</exception>
    public static Tensor Attention(
        Tensor queries, TokenBlocks keys, TokenBlocks values, BlockTable table, BlockMask mask, in AttentionSettings settings = default)
    {
        RequireBlockShapes(queries, keys, values, table, mask);
        RequireSettings(queries, mask, settings);
        var valueWidth = settings.ValueWidth ?? values.Width;
        if (valueWidth < 1 || valueWidth > values.Width)
            throw new ShapeException($"attention: value width is {valueWidth}, expected 1 to {values.Width}, that of {values}");
        if (Tape.Wants(queries, settings.Sinks, settings.Bias?.Inputs.First, settings.Bias?.Inputs.Second))
            throw new InvalidOperationException("attention to cached tokens has no gradient; it is for decoding, outside a recorded tape");
        var firstKept = table.Require(mask, keys, values);

        var y = Tensor.Temporary(queries.Shape.WithWidth(valueWidth));
        var logSum = Tensor.Temporary([queries.Shape[0], queries.Shape[2], queries.Shape[1]]);
        FlashAttention.Forward(new FlashAttentionProblem(
            queries, new AttentionRows(keys, table), new AttentionRows(values, table), keys.Heads, valueWidth, y, logSum, mask, settings,
            Autocast.Current)
        {
            FirstKey = Math.Min(firstKept * TokenBlocks.Size, mask.Keys),
        });

        GC.KeepAlive(queries);
        GC.KeepAlive(keys);
        GC.KeepAlive(values);
        GC.KeepAlive(table);
        GC.KeepAlive(mask);
        GC.KeepAlive(settings.Sinks);
        GC.KeepAlive(settings.Bias);
        GC.KeepAlive(settings.Entropy);
        return y;
    }

    private static void RequireBlockShapes(Tensor queries, TokenBlocks keys, TokenBlocks values, BlockTable table, BlockMask mask)
    {
        var q = queries.Shape;
        ShapeException.Require(
            queries.Type == ElementType.F32 && q.Rank == 4 && q.Width > 0,
            "attention", "queries", queries, "F32 [batch, queries, heads, width]");
        if (keys.Width != q[3] || q[2] % keys.Heads != 0)
            throw new ShapeException($"attention: keys are {keys}, which does not fit queries, {queries}");
        if (values.Heads != keys.Heads) throw new ShapeException($"attention: values are {values}, which does not fit keys, {keys}");
        if (table.Rows != q[0]) throw new ShapeException($"attention: table has {table.Rows} batch rows, queries are {queries}");
        if (mask.Queries != q[1] || mask.Keys > (long)table.BlocksPerRow * TokenBlocks.Size || (mask.Batch != 0 && mask.Batch != q[0])
            || (mask.Heads != 0 && mask.Heads != q[2]))
        {
            throw new ShapeException(
                $"attention: mask has {mask.Queries} queries, {mask.Keys} keys, {mask.Batch} batch rows and {mask.Heads} heads (0: any), " +
                $"which does not fit queries, {queries}, and a table of {table.BlocksPerRow} blocks of {TokenBlocks.Size} tokens");
        }
    }
}
