using FsCheck;
using FsCheck.Fluent;
using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;
using Tessera.Training.Data;
using Tessera.Training.Objectives;
using Tessera.Training.Tests.Data;

namespace Tessera.Training.Tests.Objectives;

public sealed class FillInTheMiddleTests
{
    private const int Prefix = 3, Suffix = 4, Middle = 5, Begin = SpecialTokens.Begin, End = SpecialTokens.End;

    private static readonly Tokenizer s_tokenizer = ByteTokens.With("<fim_prefix>", "<fim_suffix>", "<fim_middle>");
    private static readonly CounterRandom s_random = new(7);

    [Fact]
    public void What_a_row_holds_of_a_text_is_there_once_plain_or_rearranged() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(
            (from texts in Gen.ArrayOf(Gen.Choose(1, 90)) from length in Gen.Choose(16, 70)
             from rate in Gen.Choose(0, 4) from epoch in Gen.Choose(0, 3)
             where texts.Length > 0 select (texts, length, rate: rate / 4.0, epoch)).ToArbitrary(),
            sizes =>
            {
                // Each character of a text tells its place in it; texts have lengths that differ where their characters do not.
                var examples = sizes.texts.Select(Text).ToList();
                var predicted = new List<int>();
                var pieces = Pieces(Data(examples, sizes.length, sizes.rate), sizes.epoch, predicted).ToList();
                foreach (var piece in pieces)
                {
                    var content = Undone(piece);
                    for (var i = 1; i < content.Length; i++) Assert.Equal(content[i - 1] + 1, content[i]);
                }

                Assert.Equal(
                    examples.SelectMany(example => s_tokenizer.EncodeOrdinary(example.Target)).Order(),
                    predicted.Where(id => id > Middle).Order());
                if (sizes.rate == 0) Assert.DoesNotContain(pieces, piece => piece.Contains(Prefix));
            }));

    [Fact]
    public void A_rate_of_nothing_gives_the_batches_of_the_next_token()
    {
        Example[] examples = [.. Enumerable.Range(1, 30).Select(i => Text(i * 37 % 80))];
        var (rearranged, plain) = (Data(examples, 24, rate: 0),
            ByteTokens.Prepare(new NextTokenOptions(PredictSource: true), examples, Batches(24), s_tokenizer));
        for (var epoch = 0; epoch < 2; epoch++)
        {
            Assert.Equal(plain.BatchesIn(epoch, s_random), rearranged.BatchesIn(epoch, s_random));
            for (var index = 0; index < plain.BatchesIn(epoch, s_random); index++)
            {
                using var scope = Arena.Current.Scope();
                var (one, other) = (plain.Make(epoch, index, s_random), rearranged.Make(epoch, index, s_random));
                Assert.Equal(Tensors(one), Tensors(other));
                Assert.Equal((one.Tokens, one.TargetTokens), (other.Tokens, other.TargetTokens));
            }
        }

        static int[][] Tensors(Batch batch) =>
            [batch.Inputs.Ints.ToArray(), batch.Targets.Ints.ToArray(), batch.Positions.Ints.ToArray(), batch.Segments!.Ints.ToArray()];
    }

    [Fact]
    public void A_text_that_fits_a_row_is_prefix_suffix_middle_and_end_cut_anywhere_and_anew_in_each_epoch()
    {
        var data = Data([Text(9)], length: 32, rate: 1);
        var (cuts, epochs) = (new HashSet<(int, int)>(), 1000);
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            var piece = Assert.Single(Pieces(data, epoch, []));
            Assert.Equal([Begin, Prefix], piece[..2]);
            Assert.Equal(End, piece[^1]);
            Assert.Equal(9, Undone(piece).Length);
            cuts.Add((Array.IndexOf(piece, Suffix) - 2, Array.IndexOf(piece, Middle) - Array.IndexOf(piece, Suffix) - 1));
        }

        // A prefix and a suffix of together at most 9 tokens: 1 + 2 + … + 10 ways.
        Assert.Equal(55, cuts.Count);
        Assert.Equal(Pieces(data, 3, []), Pieces(Data([Text(9)], length: 32, rate: 1), 3, []));
    }

    [Fact]
    public void As_many_pieces_are_rearranged_as_the_rate_says()
    {
        var data = Data([.. Enumerable.Repeat(Text(12), 4000)], length: 64, rate: 0.3);
        var pieces = Pieces(data, 0, []).ToList();
        // Pieces at the ends of rows are shorter, and may have no room.
        var whole = pieces.Where(piece => Undone(piece).Length == 12).ToList();
        Assert.InRange(whole.Count(piece => piece.Contains(Prefix)) / (double)whole.Count, 0.25, 0.32);
    }

    [Fact]
    public void Rows_of_another_length_hold_the_same_text()
    {
        Example[] examples = [.. Enumerable.Range(1, 40).Select(i => Text(i * 37 % 80))];
        var (resized, made) = (Data(examples, 64, rate: 0.5), Data(examples, 20, rate: 0.5));
        resized.Resize(20, 1);
        Assert.Equal(Pieces(made, 2, []), Pieces(resized, 2, []));
        Assert.Equal(resized.Fingerprint(), made.Fingerprint());
    }

    [Fact]
    public void A_gap_is_encoded_as_training_arranges_it()
    {
        var objective = (FillInTheMiddle)new FillInTheMiddleOptions().Build(new ObjectiveContext(
            TrainingFolder.TextRecipe().Model.Build(s_tokenizer.VocabularySize, 1), s_tokenizer, PromptFormat.Own));
        Assert.Equal(
            [Begin, Prefix, .. s_tokenizer.EncodeOrdinary("ab"), Suffix, .. s_tokenizer.EncodeOrdinary("c"), Middle],
            objective.EncodeGap("ab", "c"));
    }

    private static Example Text(int length) =>
        new(null, string.Concat(Enumerable.Range('!', Math.Max(1, length)).Select(code => (char)code)), "g");

    private static BatchOptions Batches(int length) => new() { Length = length, Tokens = 200 };

    private static Dataset Data(IReadOnlyList<Example> examples, int length, double rate) =>
        ByteTokens.Prepare(new FillInTheMiddleOptions(rate), examples, Batches(length), s_tokenizer);

    /// <summary>The sequences of an epoch: what a segment of a row reads, and the last token that it predicts.</summary>
    private static IEnumerable<int[]> Pieces(Dataset data, int epoch, List<int> predicted)
    {
        var pieces = new List<int[]>();
        for (var index = 0; index < data.BatchesIn(epoch, s_random); index++)
        {
            using var scope = Arena.Current.Scope();
            var batch = data.Make(epoch, index, s_random);
            predicted.AddRange(batch.Targets.Ints.ToArray().Where(id => id >= 0));
            var (length, segments) = (batch.Inputs.Shape[1], batch.Segments!.Ints.ToArray());
            for (var at = 0; at < segments.Length;)
            {
                var start = at;
                while (at < segments.Length && at / length == start / length && segments[at] == segments[start]) at++;
                if (segments[start] < 0) continue;
                int[] read = batch.Inputs.Ints[start..at].ToArray(), next = batch.Targets.Ints[start..at].ToArray();
                Assert.Equal(read[1..], next[..^1]);
                pieces.Add([.. read, next[^1]]);
            }
        }

        return pieces;
    }

    /// <summary>The tokens of the text that a piece holds, in their order.</summary>
    private static int[] Undone(int[] piece)
    {
        if (!piece.Contains(Prefix)) return [.. piece.Where(id => id > Middle)];
        var (prefix, suffix, middle) = (Array.IndexOf(piece, Prefix), Array.IndexOf(piece, Suffix), Array.IndexOf(piece, Middle));
        Assert.True(prefix == 1 && suffix > prefix && middle > suffix && piece[^1] == End);
        return [.. piece[(prefix + 1)..suffix], .. piece[(middle + 1)..^1], .. piece[(suffix + 1)..middle]];
    }
}
