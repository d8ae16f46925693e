using FsCheck;
using FsCheck.Fluent;
using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training.Tests.Data;

public sealed class PairDatasetTests
{
    private static readonly CounterRandom s_random = new(5);

    [Fact]
    public void An_epoch_has_every_pair_once_in_batches_within_the_budget() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(
            (from count in Gen.Choose(1, 40) from length in Gen.Choose(1, 20) from tokens in Gen.Choose(24, 90) select (count, length, tokens)).ToArbitrary(),
            sizes =>
            {
                var data = Data(Pairs(sizes.count, sizes.length), new BatchOptions { Tokens = sizes.tokens, Length = 64 });
                for (var epoch = 0; epoch < 3; epoch++)
                {
                    var seen = new List<string>();
                    for (var index = 0; index < data.BatchesIn(epoch, s_random); index++)
                    {
                        using var scope = Arena.Current.Scope();
                        var batch = data.Make(epoch, index, s_random);
                        var rows = batch.Inputs.Shape[0];
                        Assert.True(rows == 1 || rows * Math.Max(batch.Inputs.Shape[1], batch.Source!.Shape[1]) <= sizes.tokens);
                        for (var row = 0; row < rows; row++) seen.Add(Text(batch, row));
                    }

                    Assert.Equal(Pairs(sizes.count, sizes.length).Select(pair => $"{pair.Source}>{pair.Target}").Order(), seen.Order());
                }
            }));

    [Fact]
    public void A_row_begins_with_begin_predicts_up_to_end_and_is_padded_with_nothing_to_predict()
    {
        var data = Data([Pair("abc", "x"), Pair("d", "wxyz")], new BatchOptions { Tokens = 100, Length = 10 });
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(2));
        int[] Ids(string text) => ByteTokens.Of(text);
        Assert.Equal([1, .. Ids("x"), 0, 0, 0, 1, .. Ids("wxyz")], batch.Inputs.Ints.ToArray());
        Assert.Equal([.. Ids("x"), 2, -1, -1, -1, .. Ids("wxyz"), 2], batch.Targets.Ints.ToArray());
        Assert.Equal([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], batch.Positions.Ints.ToArray());
        Assert.Equal([.. Ids("abc"), 2, .. Ids("d"), 2, 0, 0], batch.Source!.Ints.ToArray());
        Assert.Equal([4, 2], batch.SourceLengths!.Ints.ToArray());
        Assert.Null(batch.Segments);
        Assert.Equal((7, 13), (batch.TargetTokens, batch.Tokens));
    }

    [Fact]
    public void The_order_is_a_function_of_seed_and_epoch_only()
    {
        var data = Data(Pairs(50, 9));
        var first = Epoch(data, 0, new CounterRandom(1));
        Assert.NotEqual(first, Epoch(data, 1, new CounterRandom(1)));
        Assert.NotEqual(first, Epoch(data, 0, new CounterRandom(2)));
        Assert.Equal(first, Epoch(data, 0, new CounterRandom(1)));
        Assert.Equal(first, Epoch(Data(Pairs(50, 9)), 0, new CounterRandom(1)));
    }

    [Fact]
    public void Pairs_that_share_a_batch_change_from_epoch_to_epoch()
    {
        var data = Data(Pairs(50, 9));
        Assert.NotEqual(Epoch(data, 0, s_random).Order(), Epoch(data, 1, s_random).Order());
    }

    [Fact]
    public void Targets_that_are_too_long_are_left_out_and_counted_and_sources_are_cut()
    {
        // A target of n tokens takes n + 1 places: Begin and n, or n and End.
        var data = Data(
            [Pair("abcdefgh", "123"), Pair("a", "1234"), Pair("b", "12345")], new BatchOptions { Length = 4, SourceLength = 5 });
        Assert.Equal((1, 2), (data.Count, data.TooLong));
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        Assert.Equal([.. ByteTokens.Of("abcd"), 2], batch.Source!.Ints.ToArray());
        Assert.Equal([.. ByteTokens.Of("123"), 2], batch.Targets.Ints.ToArray());
    }

    [Fact]
    public void Evaluation_takes_the_first_pairs_shorter_ones_first()
    {
        using var scope = Arena.Current.Scope();
        var batches = Data(Pairs(20, 9)).InOrder(7).SelectMany(batch => Enumerable.Range(0, batch.Inputs.Shape[0]).Select(row => Text(batch, row)));
        Assert.Equal(Pairs(20, 9).Take(7).OrderBy(pair => Math.Max(pair.Source!.Length, pair.Target.Length)).Select(pair => $"{pair.Source}>{pair.Target}"), batches);
    }

    [Fact]
    public void Fingerprints_differ_when_a_token_its_side_or_the_order_differs()
    {
        string[] prints =
        [
            Data([Pair("ab", "c"), Pair("d", "e")]).Fingerprint(), Data([Pair("ab", "c"), Pair("d", "f")]).Fingerprint(),
            Data([Pair("a", "bc"), Pair("d", "e")]).Fingerprint(), Data([Pair("d", "e"), Pair("ab", "c")]).Fingerprint(),
            Data([Pair("ab", "c")]).Fingerprint(),
        ];
        Assert.Equal(prints.Length, prints.Distinct().Count());
        Assert.Equal(prints[0], Data([Pair("ab", "c"), Pair("d", "e")]).Fingerprint());
    }

    [Fact]
    public void No_pairs_plain_text_and_pairs_that_are_all_too_long_are_refused()
    {
        Assert.Contains("none of 0 pairs", Assert.Throws<InvalidDataException>(() => Data([])).Message, StringComparison.Ordinal);
        Assert.Contains("none of 1 pairs has a target of fewer than 3 tokens", Assert.Throws<InvalidDataException>(
            () => Data([Pair("a", "bcd")], new BatchOptions { Length = 3 })).Message, StringComparison.Ordinal);
        Assert.Contains("pairs need a source", Assert.Throws<InvalidDataException>(
            () => Data([new Example(null, "text", "g")])).Message, StringComparison.Ordinal);
    }

    private static Example Pair(string source, string target) => new(source, target, "group");

    /// <summary>Pairs of many lengths, all different.</summary>
    private static Example[] Pairs(int count, int longest) => [.. Enumerable.Range(0, count).Select(i =>
        Pair($"{i}{new string('s', i * 7 % longest)}", $"{i}{new string('t', i * 5 % longest)}"))];

    private static Dataset Data(Example[] examples) => Data(examples, new BatchOptions { Tokens = 40, Length = 64 });

    private static Dataset Data(Example[] examples, BatchOptions batches) =>
        ByteTokens.Prepare(new PairsOptions(), examples, batches, readsSource: true);

    private static List<string> Epoch(Dataset data, int epoch, CounterRandom random)
    {
        var batches = new List<string>();
        for (var index = 0; index < data.BatchesIn(epoch, random); index++)
        {
            using var scope = Arena.Current.Scope();
            var batch = data.Make(epoch, index, random);
            batches.Add(string.Join('|', Enumerable.Range(0, batch.Inputs.Shape[0]).Select(row => Text(batch, row))));
        }

        return batches;
    }

    private static string Text(Batch batch, int row)
    {
        var source = batch.Source!.Ints.Slice(row * batch.Source.Shape[1], batch.SourceLengths!.Ints[row]);
        var targets = batch.Targets.Ints.Slice(row * batch.Targets.Shape[1], batch.Targets.Shape[1]).ToArray().Where(id => id >= 0).ToArray();
        return $"{ByteTokens.Tokenizer.Decode(source)}>{ByteTokens.Tokenizer.Decode(targets)}";
    }
}
