using FsCheck;
using FsCheck.Fluent;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace OwnMixer.Tests;

/// <summary>A decoder of such layers, one of attention among them, decoded step by step.</summary>
public sealed class MinGruDecodingTests
{
    private const int Vocabulary = 19;

    [Fact]
    public void Sequences_that_join_fork_and_go_back_have_the_logits_of_whole_ones()
    {
        var model = Build();
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(12),
            Prop.ForAll(Gen.Choose(0, int.MaxValue - 1).ToArbitrary(), seed => Run(model, new Random(seed))));
    }

    [Fact]
    public void A_sequence_takes_the_same_memory_however_long_it_is()
    {
        using var scope = Arena.Current.Scope();
        var session = new DecodingSession(Build(layers: 2));
        var sequence = session.Add();
        var before = session.CacheBytes;
        sequence.Read([.. Enumerable.Repeat(5, 500)]);
        session.Step();
        Assert.Equal(before, session.CacheBytes);
    }

    [Fact]
    public void A_step_of_decoding_allocates_no_managed_memory()
    {
        var session = new DecodingSession(Build(layers: 2));
        session.Reserve(2, 400);
        DecodingSequence[] sequences = [session.Add(), session.Add()];
        Steps(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Steps(50);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Steps(int count)
        {
            for (var step = 0; step < count; step++)
            {
                using var scope = Arena.Current.Scope();
                foreach (var sequence in sequences) sequence.Read(step % Vocabulary);
                session.Step();
            }
        }
    }

    private static SequenceModel Build(LayerPattern? layers = null) => new DecoderOptions
    {
        Width = 8,
        Decoder = new TransformerOptions
        {
            Layers = layers ?? LayerPattern.Parse("min-gru, attention, min-gru"),
            Attention = layers is null ? new MultiHeadOptions(2) : new MinGruOptions(),
            Mixers = layers is null ? new Dictionary<string, MixerOptions> { ["min-gru"] = new MinGruOptions(5) } : null, FeedForward = new SwiGluOptions(12),
        },
    }.Build(Vocabulary, seed: 3);

    private static void Run(SequenceModel model, Random random)
    {
        var session = new DecodingSession(model);
        var live = new List<DecodingSequence> { session.Add() };
        for (var step = 0; step < 12; step++)
        {
            using var scope = Arena.Current.Scope();
            if (random.Next(3) == 0) live.Add(session.Add());
            if (random.Next(3) == 0) live.Add(live[random.Next(live.Count)].Fork());
            if (live.Count > 1 && random.Next(5) == 0)
            {
                live[0].Remove();
                live.RemoveAt(0);
            }

            var back = live[random.Next(live.Count)];
            if (random.Next(3) == 0) back.Truncate(random.Next(back.Length + 1));
            foreach (var sequence in live.Where(_ => random.Next(3) > 0))
                sequence.Read([.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(Vocabulary))], LogitPlaces.All);
            back.Read([random.Next(Vocabulary)], LogitPlaces.All);
            var logits = session.Step();
            foreach (var sequence in live.Where(sequence => sequence.LogitsCount > 0)) Compare(model, sequence, logits);
        }
    }

    /// <summary>The logits of the last places of a sequence with those of all its tokens read as one.</summary>
    private static void Compare(SequenceModel model, DecodingSequence sequence, Tensor logits)
    {
        var length = sequence.Length;
        var (inputs, positions) = (Tensor.From(sequence.Tokens, [1, length]), Batch.PositionsFromStart(1, length));
        var whole = model.Logits(Batch.Of(inputs, inputs, positions), Tessera.Nn.ForwardContext.At(positions));
        var expected = whole.Floats[^(sequence.LogitsCount * Vocabulary)..];
        var found = logits.Floats[(sequence.LogitsRow * Vocabulary)..];
        for (var index = 0; index < expected.Length; index++) Assert.Equal(expected[index], found[index], 3e-5);
    }
}
