using FsCheck;
using FsCheck.Fluent;
using Tessera.Models.Decoding;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Models.Tests.Decoding;

/// <summary>Whatever sequences do, their logits are those of their tokens read as a whole.</summary>
public sealed class DecodingSessionTests
{
    private const int MaxLength = 40;

    /// <summary>Rounding differs by up to 6e-5 in 5,000 sessions; a wrong mask or position by tenths.</summary>
    private const double Tolerance = 5e-4;

    private static readonly string[] s_mixers =
    [
        """{ "kind": "multi-head", "heads": 2, "keyValueHeads": 1, "position": "rotary" }""",
        """{ "kind": "multi-head", "heads": 2, "pattern": { "kind": "window", "window": 5 }, "position": "alibi" }""",
        """{ "kind": "multi-head", "heads": 2, "pattern": { "kind": "window", "window": 3, "globalTokens": 2 }, "position": "relative-bias" }""",
        """{ "kind": "multi-head", "heads": 2, "pattern": { "kind": "dilated", "window": 3, "dilation": 2 }, "sinks": true }""",
        """{ "kind": "multi-head", "heads": 2, "pattern": { "kind": "strided", "stride": 4 }, "softCap": 3 }""",
        """{ "kind": "multi-head", "heads": 2, "pattern": { "kind": "chunked", "chunk": 6 }, "position": "rotary" }""",
        """{ "kind": "multi-head", "heads": 2, "position": { "kind": "rotary", "scaling": { "kind": "dynamic", "factor": 2, "trainedLength": 16 } } }""",
        """{ "kind": "latent", "heads": 2 }""",
        """{ "kind": "latent", "heads": 2, "pattern": { "kind": "window", "window": 4 } }""",
        """{ "kind": "lstm" }""",
        """{ "kind": "gru", "hidden": 5 }""",
    ];

    public static TheoryData<string> Mixers => [.. s_mixers, "mixed"];

    [Theory]
    [MemberData(nameof(Mixers))]
    public void Random_sessions_give_the_logits_of_whole_sequences(string mixer)
    {
        var model = Build(mixer);
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(12),
            Prop.ForAll(Gen.Choose(0, int.MaxValue - 1).ToArbitrary(), seed => Run(model, new Random(seed))));
    }

    [Fact]
    public void Translations_of_several_sources_fork_and_go_back_as_texts_do()
    {
        var model = SmallModels.Build("transformer");
        for (var seed = 0; seed < 5; seed++) Run(model, new Random(seed));
    }

    [Fact]
    public void Logits_come_for_the_places_asked_for()
    {
        using var scope = Arena.Current.Scope();
        var session = new DecodingSession(Build(s_mixers[0]));
        var (all, last, none) = (session.Add(), session.Add(), session.Add());
        all.Read([4, 5, 6], LogitPlaces.All);
        last.Read([4, 5, 6]);
        none.Read([7, 8], LogitPlaces.None);
        var logits = session.Step();
        Assert.Equal((3, 1, 0), (all.LogitsCount, last.LogitsCount, none.LogitsCount));
        Assert.Equal(4, logits.Shape[0]);
        Assert.Equal(logits.Slice(all.LogitsRow + 2, 1).ToArray(), logits.Slice(last.LogitsRow, 1).ToArray());
    }

    [Theory]
    [MemberData(nameof(Mixers))]
    public void A_step_that_fails_has_read_nothing_and_gives_all_logits_when_tried_again(string mixer)
    {
        const string Last = "*.feed_forward.down_proj";
        var model = Build(mixer);
        var oneByOne = mixer.Contains("dynamic", StringComparison.Ordinal);
        var ((whole, expected), (session, sequences)) = (Texts(model), Texts(model));
        for (var round = 0; round < 3; round++)
        {
            using var scope = Arena.Current.Scope();
            for (var index = 0; index < sequences.Length; index++)
            {
                foreach (var sequence in (DecodingSequence[])[expected[index], sequences[index]])
                    sequence.Read(SmallModels.Text(3 + (4 * index) + round, (ulong)(round + index)), LogitPlaces.All);
            }

            // Of two layers at least; where sequences run one after the other, some have run already when one fails.
            for (var product = 1; product <= (oneByOne ? 2 * sequences.Length : 2); product++)
            {
                var fault = new Fault(product);
                model.ReplaceWeights(Last, (_, form) => new FaultyForm(form, fault));
                Assert.Throws<TimeoutException>(session.Step);
                model.ReplaceWeights(Last, (_, form) => ((FaultyForm)form).Sound);
                Assert.All(sequences, sequence => Assert.Equal((-1, 0), (sequence.LogitsRow, sequence.LogitsCount)));
            }

            var (wanted, found) = (whole.Step(), session.Step());
            Assert.Equal(wanted.Shape, found.Shape);
            for (var index = 0; index < sequences.Length; index++)
            {
                Assert.Equal(expected[index].LogitsCount, sequences[index].LogitsCount);
                var (left, right) = (Rows(wanted, expected[index]), Rows(found, sequences[index]));
                for (var place = 0; place < left.Length; place++) Assert.Equal(left[place], right[place], Tolerance);
                Compare(found, sequences[index], model);
            }
        }

        static float[] Rows(Tensor logits, DecodingSequence sequence) => logits.Slice(sequence.LogitsRow, sequence.LogitsCount).ToArray();
    }

    [Theory]
    [MemberData(nameof(Mixers))]
    public void A_sequence_that_takes_back_what_it_was_given_reads_nothing(string mixer)
    {
        using var scope = Arena.Current.Scope();
        var model = Build(mixer);
        var session = new DecodingSession(model);
        var sequence = session.Add();
        sequence.Read([4, 5, 6, 7, 8]);
        session.Step();
        sequence.Truncate(3);
        sequence.Read(9);
        sequence.Truncate(3);
        var error = Assert.Throws<InvalidOperationException>(session.Step);
        Assert.Equal("no sequence of the decoding session has anything to read", error.Message);
        sequence.Read(10);
        Compare(session.Step(), sequence, model);
    }

    [Fact]
    public void A_fork_shares_the_memory_of_its_origin()
    {
        using var scope = Arena.Current.Scope();
        var session = new DecodingSession(Build(s_mixers[0]));
        var origin = session.Add();
        origin.Read(SmallModels.Text(500, 1));
        session.Step();
        var before = session.CacheBytes;
        for (var fork = 0; fork < 20; fork++) origin.Fork();
        Assert.Equal(before, session.CacheBytes);
    }

    [Fact]
    public void A_window_keeps_no_more_than_it_sees()
    {
        var (window, full) = (Bytes(s_mixers[1]), Bytes(s_mixers[0].Replace("\"keyValueHeads\": 1, ", "", StringComparison.Ordinal)));
        Assert.InRange(window, 1, full / 4);

        static long Bytes(string mixer)
        {
            var session = new DecodingSession(Build(mixer));
            var sequence = session.Add();
            for (var chunk = 0; chunk < 60; chunk++)
            {
                using var scope = Arena.Current.Scope();
                sequence.Read(SmallModels.Text(50, (ulong)chunk));
                session.Step();
            }

            return session.CacheBytes;
        }
    }

    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.Q8_0)]
    public void Caches_of_fewer_bits_give_about_the_same_logits(ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var model = Build("""{ "kind": "multi-head", "heads": 1, "headWidth": 32, "position": "rotary" }""");
        int[] text = SmallModels.Text(90, 3);
        var (exact, coarse) = (new DecodingSession(model), new DecodingSession(model, type));
        var (one, other) = (exact.Add(), coarse.Add());
        one.Read(text);
        other.Read(text);
        var (expected, found) = (exact.Step().ToArray(), coarse.Step().ToArray());
        Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 0.15));
        Assert.NotEqual(expected, found);
        Assert.True(coarse.CacheBytes < exact.CacheBytes);
    }

    [Fact]
    public void What_cannot_be_is_refused_in_one_line_and_nothing_is_lost()
    {
        using var scope = Arena.Current.Scope();
        var model = Build(
            """{ "kind": "multi-head", "heads": 2 }""",
            position: """ "position": { "kind": "learned", "positions": 10 }, """
        );
        var session = new DecodingSession(model);
        var (sequence, gone) = (session.Add(), session.Add());
        sequence.Read([4, 5, 6]);
        gone.Remove();
        gone.Remove();
        Told<InvalidOperationException>("the sequence has left its decoding session", () => gone.Read(4));
        Told<InvalidOperationException>("the sequence has left its decoding session", () => gone.Fork());
        Told<InvalidOperationException>("the sequence has left its decoding session", () => gone.Truncate(0));
        Told<ArgumentException>("a sequence of 3 tokens cannot be cut to -1; allowed: 0 to 3", () => sequence.Truncate(-1));
        Told<ArgumentException>("a sequence of 3 tokens cannot be cut to 4; allowed: 0 to 3", () => sequence.Truncate(4));
        Told<ArgumentException>($"there is no token {model.Vocabulary}; the model's are 0 to {model.Vocabulary - 1}", () =>
            sequence.Read(model.Vocabulary)
        );
        Told<ArgumentException>("a sequence of 3 tokens cannot read 8 more; the model has positions for 10", () =>
            sequence.Read(new int[8])
        );
        Told<ArgumentException>("a sequence is to read no token; at least one is needed", () => sequence.Read([]));
        Told<InvalidOperationException>("this model reads no source: Add()", () => session.Add([4]));
        Compare(session.Step(), sequence, model);
        Told<InvalidOperationException>("no sequence of the decoding session has anything to read", () => session.Step());
        model.Close();
        sequence.Read(7);
        Assert.Throws<ObjectDisposedException>(() => session.Step());

        static void Told<T>(string message, Action act)
            where T : Exception => Assert.StartsWith(message, Assert.Throws<T>(act).Message, StringComparison.Ordinal);
    }

    private static SequenceModel Build(string mixer, string position = "")
    {
        var attention = mixer == "mixed" ? s_mixers[0] : mixer;
        var layers = mixer == "mixed" ? "\"2 x (lstm, attention), only gru, latent, only feedForward\"" : "2";
        var model = RecipeJson.Read<ModelOptions>(RecipeJson.Parse(
                    $$"""
                    { "kind": "decoder", "width": 16, "decoder": { "layers": {{layers}}, {{position}} "attention": {{attention}}, "feedForward": { "kind": "swiglu", "hidden": 12 } } }
            """, "test")).Build(23, seed: 7);
        foreach (var (_, parameter) in model.Parameters())
            foreach (ref var weight in parameter.Value.Floats) weight *= 1.5f;
        return model;
    }

    /// <summary>Some dozen random deeds; after each step every sequence's logits are looked at.</summary>
    private static void Run(SequenceModel model, Random random)
    {
        var session = new DecodingSession(model);
        var alive = new List<(DecodingSequence Sequence, int[]? Source)>();
        for (var deed = 0; deed < 14; deed++)
        {
            using var scope = Arena.Current.Scope();
            if (alive.Count == 0 || random.Next(4) == 0) Join();
            if (random.Next(3) == 0) alive.Add(Fork(alive[random.Next(alive.Count)]));
            if (random.Next(3) == 0) Truncate(alive[random.Next(alive.Count)].Sequence);
            if (alive.Count > 1 && random.Next(5) == 0) Leave(random.Next(alive.Count));
            var reading = alive.Where(_ => random.Next(3) > 0).DefaultIfEmpty(alive[0]).ToList();
            foreach (var (sequence, _) in reading.Where(each => each.Sequence.Length < MaxLength).DefaultIfEmpty(reading[0]))
            {
                if (sequence.Length >= MaxLength) sequence.Truncate(3);
                sequence.Read([.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(3, model.Vocabulary))]);
            }

            var logits = session.Step();
            foreach (var (sequence, source) in alive.Where(each => each.Sequence.LogitsCount > 0)) Compare(logits, sequence, model, source);
        }

        void Join()
        {
            int[]? source = model.ReadsSource ? SmallModels.Text(random.Next(1, 9), (ulong)random.Next(1, 999)) : null;
            alive.Add((source is null ? session.Add() : session.Add(source), source));
        }

        static (DecodingSequence, int[]?) Fork((DecodingSequence Sequence, int[]? Source) origin) =>
            (origin.Sequence.Fork(), origin.Source);

        void Truncate(DecodingSequence sequence) => sequence.Truncate(random.Next(sequence.Length + 1));

        void Leave(int index)
        {
            alive[index].Sequence.Remove();
            alive.RemoveAt(index);
        }
    }

    private static void Compare(Tensor logits, DecodingSequence sequence, SequenceModel model, int[]? source = null)
    {
        using var scope = Arena.Current.Scope();
        int[] tokens = [.. sequence.Tokens];
        var batch = SmallModels.Batch(source is null ? null : [source], [tokens], [new int[tokens.Length]]);
        var whole = model.Logits(batch, ForwardContext.At(batch.Positions)).ToArray();
        var found = logits.Slice(sequence.LogitsRow + sequence.LogitsCount - 1, 1).ToArray();
        var expected = whole.AsSpan((tokens.Length - 1) * model.Vocabulary, model.Vocabulary);
        for (var token = 0; token < found.Length; token++) Assert.Equal(expected[token], found[token], Tolerance);
    }

    /// <summary>A session with three sequences, unlike in length.</summary>
    private static (DecodingSession Session, DecodingSequence[] Sequences) Texts(SequenceModel model)
    {
        var session = new DecodingSession(model);
        return (session, [session.Add(), session.Add(), session.Add()]);
    }

    private sealed class Fault(int after)
    {
        public int In { get; set; } = after;
    }

    /// <summary>A form that cannot be computed with at some time.</summary>
    private sealed class FaultyForm(WeightForm sound, Fault fault) : WeightForm
    {
        public WeightForm Sound => sound;

        public override Shape Shape => sound.Shape;

        public override long Bytes => sound.Bytes;

        public override string Description => sound.Description;

        public override IReadOnlyList<(string Name, Parameter Parameter)> Parameters => sound.Parameters;

        public override Tensor Apply(Activations x, Tensor? bias, ForwardContext context) =>
            --fault.In == 0 ? throw new TimeoutException() : sound.Apply(x, bias, context);

        public override Tensor ApplyGrouped(Activations x, Tensor offsets, ForwardContext context) => sound.ApplyGrouped(x, offsets, context);

        public override Tensor ApplyPerHead(Tensor x, int first, int count, bool transposed) => sound.ApplyPerHead(x, first, count, transposed);

        public override Tensor Rows(Tensor ids, float scale) => sound.Rows(ids, scale);
    }
}
