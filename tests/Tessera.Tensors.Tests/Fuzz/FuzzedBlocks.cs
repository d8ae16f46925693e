using Tessera.Tensors.Tests.Caches;

namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Attention to cached tokens in blocks, against that to a tensor of the same numbers: the same bits.</summary>
internal static class FuzzedBlocks
{
    public static FuzzCase Attention(Draw draw)
    {
        var type = draw.Pick(ElementType.F32, ElementType.F32, ElementType.BF16, ElementType.Q8_0);
        var (batch, queries, cached) = (draw.Between(1, 3), draw.Size(129, 1), draw.Size(257));
        var (keyHeads, shared) = (draw.Between(1, 3), draw.Between(1, 3));
        var unit = type.BlockElements();
        var (width, valueWidth, seed) = (draw.Size(129 / unit, 1) * unit, draw.Size(129 / unit, 1) * unit, draw.Seed);
        var (window, globals, used) = (draw.Between(1, 150), draw.Between(0, 2), draw.Between(1, valueWidth));
        var lengths = draw.Below(cached + 1, batch);
        for (var row = 0; row < batch; row++) lengths[row] += queries;
        return new FuzzCase(
            $"{type} [{batch}, {queries} + {cached}, {keyHeads} x {shared}, {width}, {valueWidth}], window {window}, global {globals}",
            one =>
            {
                using var scope = Arena.Current.Scope();
                using var autocast = Autocast.Enter(one.Precision);
                var keys = Random([batch, queries + cached, keyHeads, width], seed);
                var values = Random([batch, queries + cached, keyHeads, valueWidth], seed + 1);
                var q = FuzzCase.Owned(OperationCheck.Random([batch, queries, keyHeads * shared, width], seed + 2));
                var causal = BlockMask.Causal(queries, queries + cached, lengths);
                var mask = causal.Within(window).Or(causal.Global(globals));
                var tokens = new CachedTokens(keys, values, mask, seed, type);
                keys = Op.Convert(Op.Convert(keys, type), ElementType.F32);
                values = Op.Convert(Op.Convert(values, type), ElementType.F32);
                var settings = new AttentionSettings { ValueWidth = used };
                Assert.Equal(
                    Op.Attention(q, keys, values, mask, settings).ToArray(),
                    Op.Attention(q, tokens.Keys, tokens.Values, tokens.Table, mask, settings).ToArray());
            });
    }

    private static Tensor Random(Shape shape, int seed) => Tensor.From(OperationCheck.Random(shape, seed).Values, shape);
}
