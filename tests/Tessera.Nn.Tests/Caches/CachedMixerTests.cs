using Tessera.Nn.Attention;
using Tessera.Nn.Lora;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Caches;

namespace Tessera.Nn.Tests;

/// <summary>What holds for every mixer that can be cached.</summary>
public abstract class CachedMixerTests(MixerOptions options)
{
    private protected const int Rows = 3;
    private protected const int Length = 9;
    private protected const int Width = 16;
    private protected const double Tolerance = 1e-5;
    private readonly Mixer _part = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), MixerRole.Causal));
    private readonly float[] _x = PartCheck.Normal(Rows * Length * Width, 3);

    /// <summary>The part with adapters on all of its weights.</summary>
    private protected CachedMixerTests(MixerOptions options, LoraOptions adapters)
        : this(options)
    {
        foreach (var (name, _, adapter) in LoraAdapters.Attach(_part, adapters, new CounterRandom(4)).All)
            PartCheck.Normal(adapter.Up.Value.Floats.Length, (ulong)name.Length, 0.3).CopyTo(adapter.Up.Value.Floats);
    }

    private protected float[] X => _x;

    [Theory]
    [InlineData(1, 1, 1, 1, 1, 1, 1, 1, 1)]
    [InlineData(4, 2, 3)]
    [InlineData(1, 7, 1)]
    [InlineData(9)]
    public void Decoding_in_any_chunks_equals_the_whole_sequence(params int[] chunks)
    {
        using var scope = Arena.Current.Scope();
        var sequences = new Sequences(this, Rows);
        foreach (var chunk in chunks) sequences.Read(chunk, chunk, chunk);
        sequences.Compare();
    }

    [Fact]
    public void Sequences_may_stand_at_different_positions_and_read_differently_many_tokens()
    {
        using var scope = Arena.Current.Scope();
        var sequences = new Sequences(this, Rows);
        foreach (var counts in new int[][] { [2, 5, 1], [1, 1, 1], [4, 0, 3], [0, 2, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1] })
            sequences.Read(counts);
        sequences.Compare();
    }

    /// <summary>Every mixer remembers what it needs of long sequences too, and nothing that a window has left behind.</summary>
    [Theory]
    [InlineData(ElementType.F32, 1e-5)]
    [InlineData(ElementType.BF16, 0.1)]
    public void Long_sequences_of_several_blocks_go_on_in_chunks_and_forks(ElementType type, double tolerance)
    {
        const int Tokens = 333;
        using var scope = Arena.Current.Scope();
        var x = PartCheck.Normal(Tokens * Width, 8);
        var whole = _part.Forward(Tensor.From(x, [1, Tokens, Width]), PartCheck.Step(1, Tokens)).ToArray();
        var caches = new CacheSet(_part, type);
        var (sequence, found) = (caches.Add(), new float[x.Length]);
        foreach (var (start, count) in new[] { (0, 130), (130, 1), (131, 62), (193, 70) }) Decode(caches, sequence, x, found, start, count);
        var fork = caches.Fork(sequence);
        for (var token = 263; token < 300; token++) Decode(caches, sequence, x, found, token, 1);
        Decode(caches, sequence, x, found, 300, 33);
        PartCheck.Compare("chunks", whole, found, tolerance);
        Array.Clear(found, 263 * Width, 70 * Width);
        caches.Remove(sequence);
        Decode(caches, fork, x, found, 263, 70);
        PartCheck.Compare("fork", whole, found, tolerance);
        Assert.True(caches.Bytes > 0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(64)]
    [InlineData(200)]
    public void Tokens_that_were_taken_back_are_forgotten(int length)
    {
        const int Tokens = 270;
        using var scope = Arena.Current.Scope();
        var (x, junk) = (PartCheck.Normal(Tokens * Width, 8), PartCheck.Normal(Tokens * Width, 9));
        var whole = _part.Forward(Tensor.From(x, [1, Tokens, Width]), PartCheck.Step(1, Tokens)).ToArray();
        var caches = new CacheSet(_part);
        var (sequence, found) = (caches.Add(), new float[x.Length]);
        x.AsSpan(0, length * Width).CopyTo(junk);
        if (length > 0) Decode(caches, sequence, junk, found, 0, length);
        Decode(caches, sequence, junk, found, length, Tokens - length - 3);
        var kept = caches.Truncate(sequence, length);
        Assert.InRange(kept, 0, length);
        Decode(caches, sequence, x, found, kept, Tokens - kept);
        PartCheck.Compare("after", whole[(kept * Width)..], found[(kept * Width)..], Tolerance);
    }

    private float[] Whole(float[] x)
    {
        var rows = x.Length / (Length * Width);
        return _part.Forward(Tensor.From(x, [rows, Length, Width]), PartCheck.Step(rows, Length)).ToArray();
    }

    private void Decode(CacheSet caches, int sequence, float[] x, float[] found, int start, int count)
    {
        var step = new DecodingStep(caches);
        step.Add(sequence, count, start);
        var positions = Tensor.From([.. Enumerable.Range(start, count)], [1, count]);
        var tokens = x.AsSpan(start * Width, count * Width);
        var y = _part.Forward(Tensor.From(tokens, [1, count, Width]), new ForwardContext { Positions = positions, Decoding = step });
        y.Floats.CopyTo(found.AsSpan(start * Width));
    }

    /// <summary>The rows of X as sequences that read on in steps.</summary>
    private sealed class Sequences(CachedMixerTests tests, int count)
    {
        private readonly CacheSet _caches = new(tests._part);
        private readonly float[] _found = new float[count * Length * Width];
        private readonly int[] _read = new int[count];
        private readonly List<int> _numbers = [];

        public void Read(params int[] counts)
        {
            while (_numbers.Count < count) _numbers.Add(_caches.Add());
            var step = new DecodingStep(_caches);
            var order = Enumerable.Range(0, count).Where(row => counts[row] > 0).OrderBy(row => counts[row]).ToArray();
            var (inputs, positions) = (new List<float>(), new List<int>());
            foreach (var row in order)
            {
                step.Add(_numbers[row], counts[row], _read[row]);
                inputs.AddRange(tests._x.AsSpan(((row * Length) + _read[row]) * Width, counts[row] * Width));
                positions.AddRange(Enumerable.Range(_read[row], counts[row]));
            }

            var context = new ForwardContext { Positions = Tensor.From([.. positions], [1, positions.Count]), Decoding = step };
            var y = tests._part.Forward(Tensor.From([.. inputs], [1, positions.Count, Width]), context);
            foreach (var (row, index) in order.Select((row, index) => (row, index)))
            {
                var part = step.Sequences[index];
                y.Floats.Slice(part.FirstToken * Width, part.Tokens * Width).CopyTo(_found.AsSpan(((row * Length) + _read[row]) * Width));
                _read[row] += counts[row];
            }
        }

        public void Compare()
        {
            Assert.All(_read, read => Assert.Equal(Length, read));
            PartCheck.Compare("cached", tests.Whole(tests._x), _found, Tolerance);
        }
    }

    private protected static float[] Row(float[] x, int row) => x[(row * Length * Width)..((row + 1) * Length * Width)];
}

public sealed class CachedMultiHeadAttentionTests() : CachedMixerTests(s_options)
{
    private static readonly MultiHeadOptions s_options = new(4)
    {
        KeyValueHeads = 2,
        Bias = true,
        Position = new RotaryOptions(Positions: 16),
    };

    [Fact]
    public void Cached_cross_attention_equals_uncached_and_reads_the_memory_once()
    {
        using var scope = Arena.Current.Scope();
        var part = (SoftmaxAttention)PartCheck.Shaken(s_options.Build(PartCheck.Builder(Width), MixerRole.Cross, memoryWidth: 6));
        var memory = Tensor.From(PartCheck.Normal(Rows * 7 * 6, 9), [Rows, 7, 6]);
        int[] lengths = [7, 3, 5];
        var x = Tensor.From(X, [Rows, Length, Width]);
        var context = PartCheck.Step(Rows, Length);
        (context.Memory, context.MemoryLengths) = (memory, PartCheck.Ints([Rows], lengths));
        var whole = part.Forward(x, context).ToArray();

        var caches = new CacheSet(part);
        int[] numbers = [caches.Add(), caches.Add(), caches.Add()];
        part.Remember(memory, lengths, numbers, caches, context);
        memory.Floats.Clear();
        var step = new DecodingStep(caches);
        foreach (var row in new[] { 2, 0, 1 }) step.Add(numbers[row], Length, 0);
        float[] exchanged = [.. Row(X, 2), .. Row(X, 0), .. Row(X, 1)];
        var decoding = new ForwardContext { Positions = PartCheck.Positions(1, Rows * Length), Decoding = step };
        PartCheck.Compare(
            "cached", [.. Row(whole, 2), .. Row(whole, 0), .. Row(whole, 1)],
            part.Forward(Tensor.From(exchanged, [1, Rows * Length, Width]), decoding).ToArray(), Tolerance);
    }
}

public sealed class CachedSlidingWindowTests() : CachedMixerTests(
        new MultiHeadOptions(4)
        {
            Pattern = new WindowPattern(3),
            KeyValueHeads = 2,
            Bias = true,
            Position = new RotaryOptions(Positions: 16),
        });

public sealed class CachedOptionsTests() : CachedMixerTests(new MultiHeadOptions(4)
{
    KeyValueHeads = 1, Bias = true, OutputBias = false, QueryKeyNorm = new RmsNormOptions(), ScoreScale = 0.7f, SoftCap = 2, Sinks = true,
});

public sealed class CachedAlibiTests() : CachedMixerTests(new MultiHeadOptions(4) { Sinks = true, Position = new AlibiOptions() });

public sealed class CachedBucketsTests()
    : CachedMixerTests(new MultiHeadOptions(2) { Pattern = new WindowPattern(6), Position = new RelativePositionBiasOptions(6, 7) });

public sealed class CachedLearnedAlibiTests()
    : CachedMixerTests(new MultiHeadOptions(4) { KeyValueHeads = 2, Position = new AlibiOptions(Learned: true) });

public sealed class CachedChunksTests()
    : CachedMixerTests(new MultiHeadOptions(2) { Pattern = new ChunkedPattern(4), Position = new RotaryOptions() });

public sealed class CachedDilatedTests()
    : CachedMixerTests(new MultiHeadOptions(2) { Pattern = new DilatedPattern(2, 3), Position = new AlibiOptions() });

public sealed class CachedStridedTests() : CachedMixerTests(new MultiHeadOptions(4) { Pattern = new StridedPattern(3) });

public sealed class CachedGlobalTokensTests()
    : CachedMixerTests(new MultiHeadOptions(4) { Pattern = new WindowPattern(3, GlobalTokens: 2) });

public sealed class CachedLstmTests() : CachedMixerTests(new LstmMixerOptions());

public sealed class CachedGruTests() : CachedMixerTests(new GruMixerOptions(7));

public sealed class CachedLatentWindowTests() : CachedMixerTests(new LatentOptions(2) { Pattern = new WindowPattern(70) });

public sealed class CachedLatentAttentionTests() : CachedMixerTests(new LatentOptions(4, 6, 5, 4, 3) { QLoraRank = 7, Bias = true })
{
    [Fact]
    public void The_cache_holds_the_latent_and_the_shared_key_part_only()
    {
        var part = new LatentOptions(4, 6, 5, 4, 3).Build(PartCheck.Builder(Width), MixerRole.Causal);
        Assert.Equal(640 * (6 + 4) * sizeof(float), CacheSet.BytesOf(part, 640, 0));
    }
}

/// <summary>Absorbed, the adapter of the up-projection goes through each head's own rows.</summary>
public sealed class CachedAdaptedLatentAttentionTests() : CachedMixerTests(
    new LatentOptions(4, 6, 5, 4, 3) { QLoraRank = 7, Bias = true }, new LoraOptions { Rank = 2, Alpha = 3, Targets = ["*"] });
