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

public sealed class SpanCorruptionTests
{
    private const int Sentinels = 20, FirstSentinel = 3, Begin = SpecialTokens.Begin, End = SpecialTokens.End;

    private static readonly Tokenizer s_tokenizer = ByteTokens.With([.. Enumerable.Range(0, Sentinels).Select(i => $"<extra_id_{i}>")]);
    private static readonly CounterRandom s_random = new(7);

    [Fact]
    public void Sources_have_as_many_gaps_as_T5_would_and_targets_hold_what_stood_in_them() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(60),
        Prop.ForAll(
            (from texts in Gen.ArrayOf(Gen.Choose(2, 90)) from length in Gen.Choose(3, 60) from source in Gen.Choose(3, 60)
             from density in Gen.Choose(1, 10) from span in Gen.Choose(2, 10)
             where texts.Length > 0 select (texts, length, source, density: density / 20.0, span: span / 2.0)).ToArbitrary(),
            sizes =>
            {
                var options = new SpanCorruptionOptions(sizes.density, sizes.span, Sentinels);
                var examples = sizes.texts.Select((length, index) => Text(index, length)).ToList();
                var data = Data(options, examples, sizes.length, sizes.source);
                var seen = new List<int>();
                foreach (var (source, inputs, targets) in Rows(data, epoch: 1))
                {
                    Assert.True(source.Length <= sizes.source && targets.Length <= sizes.length);
                    Assert.Equal([Begin, .. targets[..^1]], inputs);
                    var stretch = Restored(source, targets, out var noise, out var spans);
                    Assert.Equal(Transcribed(stretch.Length, sizes.density, sizes.span), (noise, spans));
                    for (var i = 1; i < stretch.Length; i++) Assert.Equal(stretch[i - 1] + 1, stretch[i]);
                    seen.AddRange(stretch);
                }

                // Where stretches are of two tokens, the last token of a text of odd length has no other to stay with.
                var all = examples.SelectMany(example => s_tokenizer.EncodeOrdinary(example.Target)).ToList();
                Assert.Empty(seen.Except(all));
                Assert.InRange(seen.Count, all.Count - examples.Count, all.Count);
            }));

    [Fact]
    public void Every_division_into_spans_is_drawn_equally_often()
    {
        // 10 tokens at 0.3: 3 of them in 2 spans, and 7 kept in 2 stretches; 6 ways to divide 7, 2 to divide 3.
        var data = Data(new SpanCorruptionOptions(0.3, 1.5, Sentinels), [Text(0, 10)], 32, 32);
        var counts = new Dictionary<(int, int), int>();
        const int Epochs = 6000;
        for (var epoch = 0; epoch < Epochs; epoch++)
        {
            var (source, _, targets) = Assert.Single(Rows(data, epoch));
            var (kept, removed) = (Array.IndexOf(source, FirstSentinel), Array.IndexOf(targets, FirstSentinel + 1) - 1);
            counts[(kept, removed)] = counts.GetValueOrDefault((kept, removed)) + 1;
        }

        Assert.Equal(12, counts.Count);
        var expected = Epochs / 12.0;
        var chiSquare = counts.Values.Sum(count => Math.Pow(count - expected, 2) / expected);
        Assert.InRange(chiSquare, 1, 31.3); // 11 degrees of freedom: 0.1 % lie above
    }

    [Fact]
    public void The_same_epoch_gives_the_same_gaps_and_another_others()
    {
        var options = new SpanCorruptionOptions(MaxSpans: Sentinels);
        Example[] examples = [.. Enumerable.Range(0, 30).Select(i => Text(0, 40 + i))];
        var (data, again) = (Data(options, examples, 20, 60), Data(options, examples, 40, 80));
        again.Resize(20, 60);
        Assert.Equal(Flat(data, 2), Flat(again, 2));
        Assert.NotEqual(Flat(data, 2), Flat(data, 3));
        Assert.Equal(data.Fingerprint(), again.Fingerprint());

        static List<int> Flat(Dataset data, int epoch) => [.. Rows(data, epoch).SelectMany(row => row.Source.Concat(row.Targets))];
    }

    [Fact]
    public void Of_a_pair_source_and_target_are_texts_and_a_stretch_has_no_more_gaps_than_there_are_tokens_for()
    {
        var data = Data(new SpanCorruptionOptions(0.5, 1, MaxSpans: 3), [new Example("abcdefgh", "ijklmnop", "g")], 64, 64);
        var rows = Rows(data, 0).ToList();
        Assert.All(rows, row => Assert.InRange(row.Source.Count(id => id is >= FirstSentinel and < FirstSentinel + Sentinels), 1, 3));
        Assert.Equal(
            s_tokenizer.EncodeOrdinary("abcdefghijklmnop").Order(),
            rows.SelectMany(row => Restored(row.Source, row.Targets, out _, out _)).Order());
    }

    /// <summary>The numbers of noise tokens and spans of T5's <c>random_spans_noise_mask</c>.</summary>
    private static (int Noise, int Spans) Transcribed(int tokens, double density, double spanLength)
    {
        var noise = Math.Min(Math.Max(Math.Round(tokens * density, MidpointRounding.ToEven), 1), tokens - 1);
        var spans = Math.Max(Math.Round(noise / spanLength, MidpointRounding.ToEven), 1);
        return ((int)noise, (int)Math.Min(spans, tokens - noise));
    }

    private static Example Text(int first, int length) =>
        new(null, string.Concat(Enumerable.Range('!' + (first % 3), length).Select(code => (char)code)), "g");

    private static Dataset Data(SpanCorruptionOptions options, IReadOnlyList<Example> examples, int length, int source) =>
        ByteTokens.Prepare(options, examples, new BatchOptions { Length = length, SourceLength = source, Tokens = 200 }, s_tokenizer);

    private static IEnumerable<(int[] Source, int[] Inputs, int[] Targets)> Rows(Dataset data, int epoch)
    {
        var rows = new List<(int[], int[], int[])>();
        for (var index = 0; index < data.BatchesIn(epoch, s_random); index++)
        {
            using var scope = Arena.Current.Scope();
            var batch = data.Make(epoch, index, s_random);
            var (sourceLength, length) = (batch.Source!.Shape[1], batch.Inputs.Shape[1]);
            for (var row = 0; row < batch.Inputs.Shape[0]; row++)
            {
                var targets = batch.Targets.Ints.Slice(row * length, length).ToArray().TakeWhile(id => id >= 0).ToArray();
                rows.Add((
                    batch.Source.Ints.Slice(row * sourceLength, batch.SourceLengths!.Ints[row]).ToArray(),
                    batch.Inputs.Ints.Slice(row * length, targets.Length).ToArray(), targets));
            }
        }

        return rows;
    }

    /// <summary>Puts the spans of a target back into the gaps of its source.</summary>
    private static int[] Restored(int[] source, int[] targets, out int noise, out int spans)
    {
        Assert.Equal((End, End), (source[^1], targets[^1]));
        Assert.False(IsSentinel(source[0]), "a text never begins with a gap");
        var (text, at) = (new List<int>(), 0);
        (noise, spans) = (0, 0);
        foreach (var id in source[..^1])
        {
            if (!IsSentinel(id))
            {
                text.Add(id);
                continue;
            }

            Assert.Equal((FirstSentinel + spans, FirstSentinel + spans), (id, targets[at++]));
            spans++;
            for (; at < targets.Length - 1 && !IsSentinel(targets[at]); at++, noise++) text.Add(targets[at]);
        }

        Assert.Equal(targets.Length - 1, at);
        return [.. text];

        static bool IsSentinel(int id) => id is >= FirstSentinel and < FirstSentinel + Sentinels;
    }
}
