using FsCheck.Fluent;
using Tessera.Tensors.Tests.Ops;

namespace Tessera.Tensors.Tests.Caches;

/// <summary>Attention to cached tokens in blocks is that to a tensor of them, to the last bit.</summary>
public class BlockAttentionTests
{
    private static readonly string[] s_masks =
        ["full", "lengths", "window-3", "window-70", "window-global", "dilated", "chosen", "chosen-wide", "per-head", "nothing"];

    [Fact]
    public void Blocks_give_the_bits_of_a_tensor_on_random_shapes_masks_and_settings()
    {
        var sizes = Gen.Choose(1, 3).Zip(Gen.Elements(1, 2, 3, 5, 6, 7, 17, 63, 64, 65, 130), Gen.Elements(0, 1, 40, 63, 64, 65, 200, 500));
        var heads = Gen.Choose(1, 3).Zip(Gen.Choose(1, 3), Gen.Elements(1, 7, 16, 33, 64)).Zip(Gen.Elements(1, 8, 20, 64));
        Samples.ForAll(sizes.Zip(heads, Gen.Elements(s_masks)).Zip(Gen.Choose(0, 7), Samples.Seed), size =>
        {
            var (((batch, queries, cached), ((keyHeads, shared, width), valueWidth), mask), extras, seed) = size;
            Agree(new Sizes(batch, queries, queries + cached, keyHeads * shared, keyHeads, width, valueWidth, mask, extras), seed);
        }, cases: 150);
    }

    [Theory]
    [InlineData(1, 64)]
    [InlineData(6, 128)]
    [InlineData(130, 64)]
    [InlineData(200, 24)]
    public void Many_tokens_cut_among_threads_give_the_bits_of_a_tensor(int queries, int width)
    {
        foreach (var mask in s_masks) Agree(new Sizes(2, queries, 2500, 4, 2, width, width, mask, 0), 7);
    }

    [Theory]
    [InlineData(1, ElementType.BF16, 37, 21)]
    [InlineData(130, ElementType.BF16, 37, 21)]
    [InlineData(1, ElementType.Q8_0, 64, 32)]
    [InlineData(7, ElementType.Q8_0, 32, 96)]
    [InlineData(130, ElementType.Q8_0, 64, 32)]
    public void Blocks_of_fewer_bits_give_what_their_numbers_give_in_F32(int queries, ElementType type, int width, int valueWidth)
    {
        foreach (var mask in s_masks) Agree(new Sizes(2, queries, queries + 200, 4, 2, width, valueWidth, mask, 0, type), 3);
    }

    [Theory]
    [InlineData(1, ElementType.F32, 48, 40)]
    [InlineData(9, ElementType.F32, 48, 40)]
    [InlineData(3, ElementType.BF16, 48, 40)]
    [InlineData(80, ElementType.BF16, 48, 40)]
    [InlineData(2, ElementType.Q8_0, 64, 40)] // ends within a block of numbers
    [InlineData(80, ElementType.Q8_0, 64, 40)]
    public void Values_may_be_the_beginning_of_the_keys(int queries, ElementType type, int width, int valueWidth)
    {
        using var scope = Arena.Current.Scope();
        var (q, latents) = (Random([2, queries, 8, width], 1), Random([2, queries + 150, 1, width], 2));
        var mask = BlockMask.Causal(queries, queries + 150, [queries + 150, queries + 70]);
        var cached = new CachedTokens(latents, latents, mask, 5, type);
        var settings = new AttentionSettings { ValueWidth = valueWidth };
        Assert.Same(cached.Keys, cached.Values);
        var stored = Rounded(latents, type);
        Assert.Equal(
            Op.Attention(q, stored, stored, mask, settings).ToArray(),
            Op.Attention(q, cached.Keys, cached.Values, cached.Table, mask, settings).ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public void A_window_over_a_long_sequence_asks_about_its_own_tiles_only(int queries)
    {
        const int Length = 100_000, Window = 128;
        using var scope = Arena.Current.Scope();
        var pool = new TokenBlocks(1, 16);
        var table = BlockTable.Of(2, (Length / TokenBlocks.Size) + 1);
        var mask = new CountingMask(BlockMask.Causal(queries, Length).Within(Window));
        for (var tile = (Length - queries - Window) / TokenBlocks.Size; tile <= Length / TokenBlocks.Size; tile++)
            table[0, tile] = table[1, tile] = pool.Take();
        Op.Attention(Random([2, queries, 1, 16], 1), pool, pool, table, mask);
        Assert.InRange(mask.Tiles, 2 * 2, 2 * 12);
        Assert.InRange(pool.Bytes, 0, 1 << 20);
    }

    [Theory]
    [InlineData(1, ElementType.F32)]
    [InlineData(3, ElementType.Q8_0)]
    [InlineData(100, ElementType.BF16)]
    public void A_step_that_has_been_seen_before_allocates_nothing(int queries, ElementType type) => Samples.OnNewThread(() =>
    {
        TokenBlocks keys = new(2, 32, type), values = new(2, 32, type);
        var tokens = Tensor.Allocate([queries, 2, 32]);
        var q = Tensor.Allocate([1, queries, 4, 32]);
        Step(); // the pools reach their size
        Step();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 3; i++) Step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Step()
        {
            using var scope = Arena.Current.Scope();
            var table = BlockTable.Of(1, 10);
            for (var tile = 0; tile < 10; tile++)
            {
                table[0, tile] = keys.Take();
                values.Take();
                keys.Write(table[0, tile], 0, tokens, 0, 1);
                values.Write(table[0, tile], 3, tokens, 0, 1);
            }

            keys.Share(0);
            values.Share(0);
            keys.Release(keys.CopyOf(0, 5));
            keys.Read(0, 1, 1, tokens, 0);
            Op.Attention(q, keys, values, table, BlockMask.Causal(queries, 600).Within(500).Or(BlockMask.Causal(queries, 600).Global(3)));
            keys.Release(0);
            values.Release(0);
            for (var tile = 9; tile >= 0; tile--)
            {
                keys.Release(table[0, tile]);
                values.Release(table[0, tile]);
            }
        }
    });

    [Fact]
    public void A_position_that_is_seen_and_not_kept_is_named()
    {
        using var scope = Arena.Current.Scope();
        var (pool, table) = (new TokenBlocks(1, 8), BlockTable.Of(2, 4));
        for (var i = 0; i < 8; i++) table[i / 4, i % 4] = pool.Take();
        table[1, 2] = BlockTable.None;
        Tensor Attend(BlockMask mask) => Op.Attention(Random([2, mask.Queries, 2, 8], 1), pool, pool, table, mask);

        foreach (var mask in new[] { BlockMask.Causal(1, 250), BlockMask.Full(70, 250), BlockMask.Causal(3, 250).Global(131) })
        {
            var error = Assert.Throws<ArgumentException>(() => Attend(mask));
            Assert.Equal(
                "attention: query 0 of batch row 1 sees position 128, which is not kept: entry [1, 2] of the table is -1", error.Message);
        }

        var chosen = Tensor.From([0, 47], [1, 1, 1, 2]); // 47 · 4 = 188, of the block that is missing
        Assert.Contains("query 1 of batch row 1 sees position 188",
            Error(BlockMask.Full(2, 250).Blocks(chosen, 4, 2).And(Only(1))), Ordinal);
        Attend(BlockMask.Causal(2, 250).Within(50)); // 199 to 249
        Attend(BlockMask.Causal(2, 250, [250, 128]));
        Attend(BlockMask.Full(2, 250).Blocks(Tensor.From([0, 64], [1, 1, 1, 2]), 3, 2)); // 0 to 2, and 192 to 194 behind the gap
        Attend(BlockMask.Causal(1, 250).Spaced(125)); // 124 and 249; no tile says so of itself
        static BlockMask Only(int query) =>
            BlockMask.Table(Tensor.From([.. Enumerable.Range(0, 500).Select(i => i / 250 == query ? 1 : 0)], [2, 250]));
        string Error(BlockMask mask) => Assert.Throws<ArgumentException>(() => Attend(mask)).Message;
    }

    [Fact]
    public void Bad_arguments_are_named_in_one_line()
    {
        using var scope = Arena.Current.Scope();
        TokenBlocks keys = new(2, 8), values = new(2, 5);
        var table = BlockTable.Of(1, 2);
        (table[0, 0], table[0, 1]) = (keys.Take(), keys.Take());
        var q = Random([1, 1, 4, 8], 1);
        var mask = BlockMask.Causal(1, 100);
        string Error(Func<Tensor> call) => Assert.ThrowsAny<ArgumentException>(call).Message;

        Assert.Contains("block 0 was never taken", Error(() => Op.Attention(q, keys, values, table, mask)), Ordinal);
        (_, _) = (values.Take(), values.Take());
        Op.Attention(q, keys, values, table, mask);
        values.Release(1);
        Assert.Contains("block 1 has been released", Error(() => Op.Attention(q, keys, values, table, mask)), Ordinal);
        Op.Attention(q, keys, values, table, BlockMask.Causal(1, 64)); // which ends before it

        Assert.Contains("keys are blocks of 64 x 2 x 8 F32, which does not fit queries, F32 [1, 1, 3, 8]",
            Error(() => Op.Attention(Random([1, 1, 3, 8], 1), keys, values, table, mask)), Ordinal);
        Assert.Contains("values are blocks of 64 x 1 x 8 F32",
            Error(() => Op.Attention(q, keys, new TokenBlocks(1, 8), table, mask)), Ordinal);
        Assert.Contains("table has 1 batch rows, queries are F32 [2, 1, 4, 8]",
            Error(() => Op.Attention(Random([2, 1, 4, 8], 1), keys, keys, table, mask)), Ordinal);
        Assert.Contains("129 keys", Error(() => Op.Attention(q, keys, keys, table, BlockMask.Causal(1, 129))), Ordinal);
        Assert.Contains("value width is 9, expected 1 to 8",
            Error(() => Op.Attention(q, keys, keys, table, mask, new AttentionSettings { ValueWidth = 9 })), Ordinal);
        Assert.Contains("there is no entry [1, 0] among 1 rows of 2 blocks",
            Assert.Throws<ArgumentOutOfRangeException>(() => table[1, 0]).Message, Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => table[0, 0] = -2);
        Assert.Throws<ArgumentOutOfRangeException>(() => BlockTable.Of(-1, 2));

        using var tape = Tape.Record();
        Assert.Contains("no gradient",
            Assert.Throws<InvalidOperationException>(() => Op.Attention(q.WithGradient(), keys, keys, table, mask)).Message, Ordinal);
    }

    [Fact]
    public void A_table_is_empty_at_first_and_gone_after_its_scope()
    {
        BlockTable table;
        for (var run = 0; run < 3; run++)
        {
            using (Arena.Current.Scope())
            {
                table = BlockTable.Of(2, 3 + run);
                for (var i = 0; i < 6; i++) Assert.Equal(BlockTable.None, table[i / 3, i % 3]);
                table[1, 2] = 7;
                Assert.Equal((7, 2, 3 + run), (table[1, 2], table.Rows, table.BlocksPerRow));
            }

            Assert.Throws<ObjectDisposedException>(() => table[0, 0]);
            Assert.Throws<ObjectDisposedException>(() => table.Rows);
        }
    }

    private const StringComparison Ordinal = StringComparison.Ordinal;

    private static Tensor Random(Shape shape, int seed) => Tensor.From(OperationCheck.Random(shape, seed).Values, shape);

    private static Tensor Rounded(Tensor x, ElementType type) => Op.Convert(Op.Convert(x, type), ElementType.F32);

    private static void Agree(Sizes s, int seed)
    {
        using var scope = Arena.Current.Scope();
        var q = Random([s.Batch, s.Queries, s.Heads, s.Width], seed);
        var keys = Random([s.Batch, s.Keys + 5, s.KeyHeads, s.Width], seed + 1);
        var values = Random([s.Batch, s.Keys + 5, s.KeyHeads, s.ValueWidth], seed + 2);
        var mask = s.BlockMask(seed);
        var cached = new CachedTokens(keys, values, mask, seed, s.Type);
        if (s.Type != ElementType.F32) (keys, values) = (Rounded(keys, s.Type), Rounded(values, s.Type));
        Tensor entropy = Tensor.Temporary([s.Batch, s.Heads, s.Queries]), found = Tensor.Temporary(entropy.Shape);
        var settings = new AttentionSettings
        {
            SoftCap = (s.Extras & 1) != 0 ? 2 : 0, Sinks = (s.Extras & 2) != 0 ? Random([s.Heads], seed + 3) : null,
            ValueWidth = (s.Extras & 4) != 0 ? (s.ValueWidth + 1) / 2 : null, Entropy = entropy,
        };
        foreach (var precision in new[] { Precision.F32, Precision.BF16 })
        {
            using var autocast = Autocast.Enter(precision);
            var expected = Op.Attention(q, keys, values, mask, settings).ToArray();
            var y = Op.Attention(q, cached.Keys, cached.Values, cached.Table, mask, settings with { Entropy = found });
            Assert.Equal(expected, y.ToArray());
            Assert.Equal(entropy.ToArray(), found.ToArray());
        }
    }

    private sealed record Sizes(
        int Batch, int Queries, int Keys, int Heads, int KeyHeads, int Width, int ValueWidth, string Mask, int Extras,
        ElementType Type = ElementType.F32)
    {
        /// <summary>Batch rows have different lengths, each of all queries at least.</summary>
        public BlockMask BlockMask(int seed)
        {
            var lengths = Samples.Below(Keys - Queries + 1, Batch, seed);
            for (var row = 0; row < Batch; row++) lengths[row] += Queries;
            BlockMask causal = Tensors.BlockMask.Causal(Queries, Keys, lengths), full = Tensors.BlockMask.Full(Queries, Keys);
            var chosen = Tensor.From(Samples.Below(Math.Max(1, Keys / 16), Batch * Queries * 2, seed), [Batch, 1, Queries, 2]);
            return Mask switch
            {
                "full" => full,
                "lengths" => causal,
                "window-3" => causal.Within(3),
                "window-70" => causal.Within(70),
                "window-global" => causal.Within(40).Or(causal.Global(5)),
                "dilated" => causal.Dilated(9, 7),
                "chosen" => causal.Blocks(chosen, 16),
                "chosen-wide" => full.Blocks(chosen, 130),
                "per-head" => Tensors.BlockMask.PerHead([.. Enumerable.Range(0, Heads).Select(h => h % 2 > 0 ? causal : causal.Within(9))]),
                _ => full.Prefix(0),
            };
        }
    }

    /// <summary>A mask that counts how often it is asked about a tile.</summary>
    private sealed class CountingMask(BlockMask mask) : BlockMask(mask.Queries, mask.Keys)
    {
        private int _tiles;

        public int Tiles => _tiles;

        public override int Batch => mask.Batch;

        public override ulong Row(int batch, int head, int query, int firstKey) => mask.Row(batch, head, query, firstKey);

        public override Coverage Tile(int batch, int head, int firstQuery, int queries, int firstKey, int keys)
        {
            Interlocked.Increment(ref _tiles);
            return mask.Tile(batch, head, firstQuery, queries, firstKey, keys);
        }

        internal override int NextKey(int batch, int key) => mask.NextKey(batch, key);
    }
}
