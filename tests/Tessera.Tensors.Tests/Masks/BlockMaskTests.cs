using FsCheck;
using FsCheck.Fluent;
using Tessera.Testing;

namespace Tessera.Tensors.Tests.Masks;

public class BlockMaskTests
{
    [Fact]
    public void What_a_tile_claims_is_what_its_rows_say_for_every_kind_of_mask()
    {
        var sizes = Gen.Choose(1, 150).Two();
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(25), Prop.ForAll(sizes.ToArbitrary(), size =>
        {
            using var scope = Arena.Current.Scope();
            foreach (var (name, mask) in Kinds(size.Item1, size.Item2)) TilesMatchRows(name, mask);
        }));
    }

    [Fact]
    public void Nothing_is_seen_of_the_keys_that_the_next_one_leaves_out()
    {
        var sizes = Gen.Choose(1, 150).Two();
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(25), Prop.ForAll(sizes.ToArbitrary(), size =>
        {
            using var scope = Arena.Current.Scope();
            foreach (var (name, mask) in Kinds(size.Item1, size.Item2))
                for (var i = 0; i < 2 * mask.Keys; i++)
                {
                    var (batch, from) = (i % 2, i / 2);
                    var next = mask.NextKey(batch, from);
                    Assert.True(next >= from, $"{name}: {next} follows {from}");
                    for (var key = from; key < Math.Min(next, mask.Keys); key++)
                        for (var query = 0; query < 2 * mask.Queries; query++)
                            Assert.False(mask.Allows(batch, query % 2, query / 2, key), $"{name}: {key} from {from} on");
                }
        }));
        Assert.Equal(900, BlockMask.Causal(1, 1000).Within(100).NextKey(0, 64));
        Assert.Equal(1000, BlockMask.Causal(1, 1000, [70]).NextKey(0, 128));
        var sinks = BlockMask.Causal(1, 1000).Within(100).Or(BlockMask.Causal(1, 1000).Global(4));
        Assert.Equal((0, 900), (sinks.NextKey(0, 0), sinks.NextKey(0, 64)));
    }

    [Theory]
    [InlineData(0, 10)]
    [InlineData(65, 7)]
    public void Tiles_that_hold_nothing_are_not_visited_and_those_inside_are_not_looked_into(int window, int visited)
    {
        var mask = window == 0 ? BlockMask.Causal(256, 256) : BlockMask.Causal(256, 256).Within(window);
        var claims = Enumerable.Range(0, 16).Select(i => mask.Tile(0, 0, i / 4 * 64, 64, i % 4 * 64, 64)).ToArray();
        Assert.Equal(visited, claims.Count(claim => claim != Coverage.None));
        Assert.Equal(window == 0 ? 6 : 0, claims.Count(claim => claim == Coverage.All));
        Assert.Equal(window == 0 ? (0, 192) : (64, 192), mask.Reach(0, 0, 128, 64));
    }

    [Fact]
    public void Causal_masks_of_batch_rows_of_different_lengths_end_each_at_its_own_end()
    {
        var mask = BlockMask.Causal(2, 9, [9, 4, 2]).Within(3);
        Assert.Equal(3, mask.Batch);
        for (var batch = 0; batch < 3; batch++)
        {
            for (var query = 0; query < 2; query++)
            {
                var position = new[] { 9, 4, 2 }[batch] - 2 + query;
                for (var key = 0; key < 9; key++)
                    Assert.Equal(key <= position && position - key < 3, mask.Allows(batch, 0, query, key));
            }
        }
    }

    [Fact]
    public void Random_blocks_are_as_many_as_asked_different_and_the_same_for_the_same_draw()
    {
        var full = BlockMask.Full(64, 80);
        BlockMask mask = full.RandomBlocks(2, 8, 3, new CounterRandom(7)), again = full.RandomBlocks(2, 8, 3, new CounterRandom(7));
        var heads = new List<bool[]>();
        for (var head = 0; head < 2; head++)
        {
            heads.Add([.. Enumerable.Range(0, 64 * 80).Select(i => mask.Allows(0, head, i / 80, i % 80))]);
            for (var query = 0; query < 64; query++)
            {
                Assert.Equal(24, Enumerable.Range(0, 80).Count(key => mask.Allows(0, head, query, key)));
                for (var key = 0; key < 80; key++)
                {
                    Assert.Equal(mask.Allows(0, head, query / 8 * 8, key / 8 * 8), mask.Allows(0, head, query, key));
                    Assert.Equal(mask.Allows(0, head, query, key), again.Allows(0, head, query, key));
                }
            }
        }

        Assert.NotEqual(heads[0], heads[1]);
    }

    [Fact]
    public void Chosen_blocks_of_the_last_query_and_negative_ones_are_read_right()
    {
        using var scope = Arena.Current.Scope();
        var chosen = Tensor.From([0, -1, 1, 0, 2, -1], [1, 1, 3, 2]);
        var mask = BlockMask.Full(3, 10).Blocks(chosen, 4);
        bool Expected(int query, int key) => query switch { 0 => key < 4, 1 => key < 8, _ => key >= 8 };
        for (var i = 0; i < 30; i++) Assert.Equal(Expected(i / 10, i % 10), mask.Allows(0, 0, i / 10, i % 10));
    }

    [Fact]
    public void Masks_of_different_extent_or_batch_cannot_be_combined_and_bad_lengths_are_named()
    {
        var extent = Assert.Throws<ArgumentException>(() => BlockMask.Causal(3, 4).And(BlockMask.Causal(4, 4)));
        Assert.Contains("4 queries x 4 keys and of 3 x 4", extent.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => BlockMask.Full(3, 4).Lengths([1, 2]).Or(BlockMask.Full(3, 4).Lengths([1, 2, 3])));
        var length = Assert.Throws<ArgumentException>(() => BlockMask.Full(3, 4).Lengths([4, 5]));
        Assert.Contains("batch row 1 is 5; 0 to 4", length.Message, StringComparison.Ordinal);
    }

    [SharedFact("fixtures/parts/dilated_window")]
    public void Dilated_windows_with_a_dilation_for_each_head_and_global_tokens_are_Longformers()
    {
        var expected = new ReferenceTensors(Fixture.Shared("fixtures/parts/dilated_window/expected.safetensors")!).Ints("mask");
        var full = BlockMask.Full(40, 40);
        int[] windows = [2, 2, 3, 1], dilations = [1, 2, 3, 4];
        var mask = BlockMask.PerHead([.. windows.Zip(dilations, (window, dilation) => full.Spaced(dilation).Around(window * dilation))])
            .Or(full.Global([0, 17]));
        Assert.Equal(4, mask.Heads);
        for (var i = 0; i < expected.Length; i++)
            Assert.True(
                expected[i] != 0 == mask.Allows(0, i / 1600, i / 40 % 40, i % 40), $"head {i / 1600}, query {i / 40 % 40}, key {i % 40}");
    }

    [SharedFact("fixtures/parts/moba_16_3")]
    public void Attention_over_chosen_blocks_agrees_with_MoBA()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var expected = new ReferenceTensors(Fixture.Shared("fixtures/parts/moba_16_3/expected.safetensors")!);
        Tensor Input(string name) => Tensor.From(expected.Floats(name), [1, 100, 4, 16]).WithGradient();
        Tensor q = Input("q"), k = Input("k"), v = Input("v");
        var table = expected.Ints("chosen.0");
        var lists = Enumerable.Range(0, 400).SelectMany(row =>
            Enumerable.Range(0, 7).Where(block => table[(row * 7) + block] != 0).Concat([-1, -1, -1]).Take(3));
        var mask = BlockMask.Causal(100, 100).Blocks(Tensor.From(lists.ToArray(), [1, 4, 100, 3]), 16);
        var y = Op.Attention(q, k, v, mask);
        tape.Backward(y, expected.Floats("d.output"));

        void Compare(string name, ReadOnlySpan<float> found) =>
            OperationCheck.Compare(name, [.. expected.Floats(name).Select(value => (double)value)], found.ToArray(), 5e-6);
        Compare("output", y.Floats);
        Compare("grad.q", q.Gradient);
        Compare("grad.k", k.Gradient);
        Compare("grad.v", v.Gradient);
    }

    private static IEnumerable<(string Name, BlockMask Mask)> Kinds(int queries, int keys)
    {
        BlockMask full = BlockMask.Full(queries, keys), causal = BlockMask.Causal(queries, keys);
        var random = new CounterRandom(3);
        Tensor Segments(int length, ulong seed) =>
            Tensor.From(
                [.. Enumerable.Range(0, 2 * length).Select(i => (i % length / 40) - random.Below(2, seed) + (i / length))], [2, length]);
        var table = Enumerable.Range(0, 2 * queries * keys).Select(i => random.Below(2, (ulong)i)).ToArray();
        yield return ("full", full);
        yield return ("causal", causal);
        yield return ("ragged", BlockMask.Causal(queries, keys, [keys, keys / 2]).Within(20));
        yield return ("window", causal.Within(30));
        yield return ("around", full.Around(17));
        yield return ("dilated", causal.Dilated(9, 4));
        yield return ("strided", causal.Within(16).Or(causal.Strided(16)));
        yield return ("chunked", causal.Chunked(50));
        yield return ("prefix", causal.Or(full.Prefix(70)));
        yield return ("global", full.Around(9).Or(full.Global(66)));
        yield return ("lengths", full.Lengths([keys, keys / 3]));
        yield return ("segments", causal.Segments(Segments(queries, 1), Segments(keys, 2)));
        yield return ("random", causal.And(full.Around(8).Or(full.RandomBlocks(2, 16, 2, random))));
        yield return ("table", BlockMask.Table(Tensor.From(table, [2, queries, keys])));
        yield return ("per head", BlockMask.PerHead(causal, full.Around(3)));
    }

    private static void TilesMatchRows(string name, BlockMask mask)
    {
        for (var head = 0; head < 2; head++)
        {
            for (var query = 0; query < mask.Queries; query += 64)
            {
                var (first, last) = mask.Reach(head, head, query, Math.Min(64, mask.Queries - query));
                for (var key = 0; key < mask.Keys; key += 64)
                {
                    var (batch, queries, keys) = (head, Math.Min(64, mask.Queries - query), Math.Min(64, mask.Keys - key));
                    for (var i = 0; i < queries * keys; i++)
                        if (key + (i % keys) < first || key + (i % keys) >= last)
                            Assert.False(
                                mask.Allows(batch, head, query + (i / keys), key + (i % keys)), $"{name} sees beyond {first} to {last}");
                    var seen = 0;
                    for (var i = 0; i < queries * keys; i++) seen += mask.Allows(batch, head, query + (i / keys), key + (i % keys)) ? 1 : 0;
                    var claim = mask.Tile(batch, head, query, queries, key, keys);
                    var right = claim switch
                    {
                        Coverage.None => seen == 0,
                        Coverage.All => seen == queries * keys,
                        _ => true,
                    };
                    Assert.True(
                        right,
                        $"{name} of {mask.Queries} x {mask.Keys} says {claim} of the tile at {query}, {key}, which has {seen} pairs");
                }
            }
        }
    }
}
