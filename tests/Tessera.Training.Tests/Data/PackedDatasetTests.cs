using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Training.Tests.Data;

public sealed class PackedDatasetTests
{
    private static readonly CounterRandom s_random = new(5);

    [Fact]
    public void Texts_lie_end_to_end_and_each_place_predicts_the_next_token_of_its_own_text()
    {
        var data = Data([Text("ab"), Text("c")], length: 6, tokens: 6);
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        var (a, b, c) = (ByteTokens.Of("a")[0], ByteTokens.Of("b")[0], ByteTokens.Of("c")[0]);
        Assert.Equal([1, a, b, 1, c, 0], batch.Inputs.Ints.ToArray());
        Assert.Equal([a, b, 2, c, 2, -1], batch.Targets.Ints.ToArray());
        Assert.Equal([0, 1, 2, 0, 1, 0], batch.Positions.Ints.ToArray());
        Assert.Equal([0, 0, 0, 1, 1, -1], batch.Segments!.Ints.ToArray());
        Assert.Equal((5, 5), (batch.TargetTokens, batch.Tokens));
    }

    [Theory]
    [InlineData(true, true)] // as RoBERTa's
    [InlineData(false, true)] // as T5's
    [InlineData(true, false)] // as Llama's
    public void What_a_tokenizer_puts_around_texts_stands_there_once(bool before, bool after)
    {
        var tokenizer = Framing([.. before ? ["<s>"] : Array.Empty<string>(), "A", .. after ? ["</s>"] : Array.Empty<string>()]);
        var format = new PromptFormat { ReadsSpecialTokens = true, StopTokens = [SpecialTokens.End] };
        var data = ByteTokens.Prepare(new NextTokenOptions(), [Text("ab")], new BatchOptions { Length = 6, Tokens = 6 }, tokenizer, format);
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        var (a, b) = (ByteTokens.Of("a")[0], ByteTokens.Of("b")[0]);
        Assert.Equal(before ? [1, a, b, 0, 0, 0] : [a, b, 0, 0, 0, 0], batch.Inputs.Ints.ToArray());
        Assert.Equal(before ? [a, b, 2, -1, -1, -1] : [b, 2, -1, -1, -1, -1], batch.Targets.Ints.ToArray());
    }

    [Fact]
    public void A_text_that_does_not_fit_goes_on_in_the_next_row_and_no_prediction_is_lost()
    {
        var data = Data([Text("abcd"), Text("e")], length: 3, tokens: 9);
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        var (a, b, c, d, e) = (ByteTokens.Of("a")[0], ByteTokens.Of("b")[0], ByteTokens.Of("c")[0], ByteTokens.Of("d")[0], ByteTokens.Of("e")[0]);
        Assert.Equal([1, a, b, c, d, 1, e, 0, 0], batch.Inputs.Ints.ToArray());
        Assert.Equal([a, b, c, d, 2, e, 2, -1, -1], batch.Targets.Ints.ToArray());
        Assert.Equal([0, 1, 2, 0, 1, 0, 0, 0, 0], batch.Positions.Ints.ToArray());
        Assert.Equal([0, 0, 0, 0, 0, 1, 0, -1, -1], batch.Segments!.Ints.ToArray());
    }

    [Fact]
    public void A_pair_is_its_source_a_line_break_and_its_target_of_which_only_the_target_is_predicted()
    {
        var data = Data([new Example("ab", "xy", "g")], length: 8, tokens: 8);
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        Assert.Equal([1, .. ByteTokens.Of("ab\nxy"), 0, 0], batch.Inputs.Ints.ToArray());
        Assert.Equal([-1, -1, -1, .. ByteTokens.Of("xy"), 2, -1, -1], batch.Targets.Ints.ToArray());
        Assert.Equal((3, 6), (batch.TargetTokens, batch.Tokens));
    }

    [Fact]
    public void A_pair_is_never_cut_and_one_longer_than_a_row_is_left_out_and_counted()
    {
        // With Begin and the line break a pair takes as many places as it has letters and two more.
        Example[] pairs =
        [
            new("abc", "d", "1"), new("ef", "g", "2"), new("hijklmn", "o", "3"), new("p", "q", "4"), new("rs", "tu", "5"), new("v", "w", "6"),
        ];
        var data = Data(pairs, length: 8, tokens: 80);
        using var scope = Arena.Current.Scope();
        var batch = Assert.Single(data.InOrder(9));
        Assert.Equal((1, 4), (data.TooLong, data.Count));
        int[] Row(params string[] pairs) =>
            [.. pairs.SelectMany(pair => (int[])[1, .. ByteTokens.Of(pair)]), .. new int[8 - pairs.Sum(pair => 1 + ByteTokens.Of(pair).Length)]];
        // The longest first, each to the fullest row with room for it: two of four places share a row.
        Assert.Equal([.. Row("abc\nd"), .. Row("rs\ntu"), .. Row("ef\ng"), .. Row("p\nq", "v\nw")], batch.Inputs.Ints.ToArray());
        data.Resize(5, 5);
        Assert.Equal(3, data.Count);
    }

    [Fact]
    public void Pairs_that_all_are_longer_than_a_row_are_refused() => Assert.Equal(
        "data: none of 1 examples fits into 4 tokens, its source included (batches.length, or the phase's length)",
        Assert.Throws<InvalidDataException>(() => Data([new Example("abc", "d", "g")], length: 4)).Message);

    [Fact]
    public void Whatever_the_length_of_rows_each_pair_stands_whole_in_one_of_them() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(
            (from count in Gen.Choose(1, 40) from length in Gen.Choose(4, 40) select (count, length)).ToArbitrary(),
            sizes =>
            {
                var pairs = Enumerable.Range(0, sizes.count)
                    .Select(i => new Example(new string((char)('a' + (i % 26)), 1 + (i * 7 % 23)), new string('x', 1 + (i % 5)), $"{i}")).ToList();
                var fitting = pairs.Where(pair => pair.Source!.Length + pair.Target.Length + 2 <= sizes.length).ToList();
                if (fitting.Count == 0) return;
                var data = Data([.. pairs], sizes.length, tokens: 1 << 20);
                Assert.Equal(pairs.Count - fitting.Count, data.TooLong);
                using var scope = Arena.Current.Scope();
                var batch = Assert.Single(data.InOrder(int.MaxValue));
                var (ids, segments) = (batch.Inputs.Ints.ToArray(), batch.Segments!.Ints.ToArray());
                var found = Enumerable.Range(0, ids.Length).Where(place => segments[place] >= 0)
                    .GroupBy(place => (Row: place / sizes.length, segments[place]))
                    .Select(piece => string.Join(' ', piece.Select(place => ids[place])));
                var expected = fitting.Select(pair => string.Join(' ', (int[])[1, .. ByteTokens.Of($"{pair.Source}\n{pair.Target}")]));
                Assert.Equal(expected.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
            }));

    [Fact]
    public void The_loss_on_pairs_does_not_depend_on_the_length_of_rows()
    {
        var model = TrainingFolder.TextRecipe().Model.Build(ByteTokens.Tokenizer.VocabularySize, seed: 1);
        var objective = new PairsOptions().Build(new ObjectiveContext(model, ByteTokens.Tokenizer, PromptFormat.Own));
        var pairs = Enumerable.Range(0, 100).Select(i => new Example($"number {i * 7919 % 100}", $"{(char)('a' + (i % 26))} {i}", $"{i}")).ToList();
        HeldOutLoss Loss(int length) => HeldOutLoss.Measure(
            objective, objective.Prepare(pairs, new BatchOptions { Length = length, Tokens = 1024 }), int.MaxValue);
        var expected = Loss(16);
        var tokens = pairs.Sum(pair => pair.Source!.Length + pair.Target.Length + 2);
        foreach (var length in (int[])[17, 64, 1000])
        {
            var found = Loss(length);
            Assert.Equal(expected.Mean, found.Mean, 1e-5);
            // Padding is given to no expert.
            Assert.Equal(tokens, Assert.Single(found.ExpertUse).Value.Sum());
            Assert.Equal(expected.ExpertUse.Values.Single(), found.ExpertUse.Values.Single());
        }
    }

    [Fact]
    public void Every_token_of_every_text_is_predicted_once_an_epoch() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(
            (from count in Gen.Choose(1, 30) from length in Gen.Choose(2, 20) from tokens in Gen.Choose(4, 60) select (count, length, tokens)).ToArbitrary(),
            sizes =>
            {
                var texts = Enumerable.Range(0, sizes.count).Select(i => Text(new string((char)('a' + (i % 26)), 1 + (i * 7 % 23)))).ToArray();
                var expected = texts.SelectMany(text => ByteTokens.Of(text.Target).Append(SpecialTokens.End)).Order();
                var data = Data(texts, sizes.length, sizes.tokens);
                for (var epoch = 0; epoch < 2; epoch++)
                {
                    var predicted = new List<int>();
                    for (var index = 0; index < data.BatchesIn(epoch, s_random); index++)
                    {
                        using var scope = Arena.Current.Scope();
                        var batch = data.Make(epoch, index, s_random);
                        Assert.Equal(sizes.length, batch.Inputs.Shape[1]);
                        Assert.True(batch.Inputs.Shape[0] == 1 || batch.Inputs.Shape.Count <= sizes.tokens);
                        var targets = batch.Targets.Ints.ToArray().Where(id => id >= 0).ToList();
                        Assert.Equal(batch.TargetTokens, targets.Count);
                        predicted.AddRange(targets);
                    }

                    Assert.Equal(expected, predicted.Order());
                }
            }));

    [Fact]
    public void The_order_is_a_function_of_seed_and_epoch_only()
    {
        var texts = Enumerable.Range(0, 40).Select(i => Text($"text {i}")).ToArray();
        var data = Data(texts, length: 8, tokens: 16);
        var first = Epoch(data, 0, new CounterRandom(1));
        Assert.NotEqual(first, Epoch(data, 1, new CounterRandom(1)));
        Assert.NotEqual(first, Epoch(data, 0, new CounterRandom(2)));
        Assert.Equal(first, Epoch(data, 0, new CounterRandom(1)));
        Assert.Equal(first, Epoch(Data(texts, length: 8, tokens: 16), 0, new CounterRandom(1)));
    }

    [Fact]
    public void Fingerprints_differ_when_a_token_or_what_is_to_be_predicted_differs()
    {
        string[] prints =
        [
            Data([Text("ab\nc")]).Fingerprint(), Data([Text("ab\nd")]).Fingerprint(), Data([new Example("ab", "c", "g")]).Fingerprint(),
            Data([Text("ab\nc"), Text("d")]).Fingerprint(), Data([Text("d"), Text("ab\nc")]).Fingerprint(),
        ];
        Assert.Equal(prints.Length, prints.Distinct().Count());
        Assert.Equal(prints[0], Data([Text("ab\nc")]).Fingerprint());
    }

    [Fact]
    public void No_text_at_all_is_refused() =>
        Assert.Contains("no text to learn from", Assert.Throws<InvalidDataException>(() => Data([])).Message, StringComparison.Ordinal);

    private static Example Text(string text) => new(null, text, "group");

    private static Dataset Data(Example[] examples, int length = 16, int tokens = 64) =>
        ByteTokens.Prepare(new NextTokenOptions(), examples, new BatchOptions { Length = length, Tokens = tokens });

    /// <summary>The tokenizer of bytes with a post-processor in its file.</summary>
    private static Tokenizer Framing(string[] pieces)
    {
        var folder = Directory.CreateTempSubdirectory("tessera-");
        try
        {
            var path = Path.Combine(folder.FullName, "tokenizer.json");
            ByteTokens.Tokenizer.Save(path);
            var json = JsonNode.Parse(File.ReadAllText(path))!;
            json["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = new JsonArray([.. pieces.Select(piece => new JsonObject { [piece == "A" ? "Sequence" : "SpecialToken"] = new JsonObject { ["id"] = piece, ["type_id"] = 0 } })]),
                ["pair"] = new JsonArray(),
                ["special_tokens"] = new JsonObject(SpecialTokens.Texts.Select((text, id) => KeyValuePair.Create<string, JsonNode?>(
                    text, new JsonObject { ["id"] = text, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(text) }))),
            };
            File.WriteAllText(path, json.ToJsonString());
            return Tokenizer.Load(path);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static List<string> Epoch(Dataset data, int epoch, CounterRandom random)
    {
        var batches = new List<string>();
        for (var index = 0; index < data.BatchesIn(epoch, random); index++)
        {
            using var scope = Arena.Current.Scope();
            batches.Add(string.Join(' ', data.Make(epoch, index, random).Inputs.Ints.ToArray()));
        }

        return batches;
    }
}
