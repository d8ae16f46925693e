using Tessera.Nn.Attention;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Nn.Tests;

/// <summary>What holds for every attention that can be cached.</summary>
public abstract class CachedAttentionTests(AttentionOptions options)
{
    private protected const int Rows = 3;
    private protected const int Length = 9;
    private protected const int Width = 16;
    private protected const double Tolerance = 1e-5;
    private readonly Attention.Attention _part = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), AttentionRole.Causal));
    private readonly float[] _x = PartCheck.Normal(Rows * Length * Width, 3);

    private protected float[] X => _x;

    [Theory]
    [InlineData(1, 1, 1, 1, 1, 1, 1, 1, 1)]
    [InlineData(4, 2, 3)]
    [InlineData(1, 7, 1)]
    [InlineData(9)]
    public void Decoding_in_any_chunks_equals_the_whole_sequence(params int[] chunks)
    {
        using var scope = Arena.Current.Scope();
        var caches = new CacheSet(_part, new CacheSize(Rows, Length));
        var found = new float[_x.Length];
        var start = 0;
        foreach (var chunk in chunks)
        {
            Decode(caches, _x, found, [start, start, start], [chunk, chunk, chunk]);
            start += chunk;
        }

        PartCheck.Compare("cached", Whole(_x), found, Tolerance);
    }

    [Fact]
    public void Rows_may_stand_at_different_positions()
    {
        using var scope = Arena.Current.Scope();
        var caches = new CacheSet(_part, new CacheSize(Rows, Length + 1)); // one more for the padding of the second row
        var found = new float[_x.Length];
        Decode(caches, _x, found, [0, 0, 0], [2, 5, 1]);
        Decode(caches, _x, found, [2, 5, 1], [1, 1, 1]);
        Decode(caches, _x, found, [3, 6, 2], [4, 2, 3]);
        Decode(caches, _x, found, [7, 8, 5], [1, 1, 1]);
        Decode(caches, _x, found, [8, 8, 6], [1, 1, 1]);
        Decode(caches, _x, found, [8, 8, 7], [1, 1, 1]);
        Decode(caches, _x, found, [8, 8, 8], [1, 1, 1]);
        PartCheck.Compare("cached", Whole(_x), found, Tolerance);
    }

    [Fact]
    public void Selected_and_repeated_rows_go_on_as_if_decoded_afresh()
    {
        using var scope = Arena.Current.Scope();
        var caches = new CacheSet(_part, new CacheSize(Rows, Length));
        Decode(caches, _x, new float[_x.Length], [0, 0, 0], [4, 4, 4]);
        int[][] selections = [[1, 1, 0], [2, 0, 1], [0, 0, 2]];
        var rows = _x;
        var start = 4;
        foreach (var selection in selections)
        {
            caches.Select(selection);
            rows = Continued(rows, selection, start, seed: (ulong)start);
            var found = new float[_x.Length];
            Decode(caches, rows, found, [start, start, start], [1, 1, 1]);
            var whole = Whole(rows);
            for (var row = 0; row < Rows; row++)
            {
                var token = ((row * Length) + start) * Width;
                PartCheck.Compare($"row {row}", whole[token..(token + Width)], found[token..(token + Width)], Tolerance);
            }

            start++;
        }
    }

    [Fact]
    public void Fewer_rows_go_on_after_the_others_have_ended()
    {
        using var scope = Arena.Current.Scope();
        var caches = new CacheSet(_part, new CacheSize(Rows, Length));
        Decode(caches, _x, new float[_x.Length], [0, 0, 0], [3, 3, 3]);
        caches.Select([2]);
        var last = _x[(2 * Length * Width)..];
        var found = new float[Length * Width];
        Decode(caches, last, found, [3], [6]);
        PartCheck.Compare("row", Whole(_x)[(((2 * Length) + 3) * Width)..], found[(3 * Width)..], Tolerance);
    }

    [Fact]
    public void A_token_beyond_the_capacity_is_refused()
    {
        using var scope = Arena.Current.Scope();
        var caches = new CacheSet(_part, new CacheSize(Rows, 4));
        var error = Assert.Throws<ShapeException>(() => Decode(caches, _x, new float[_x.Length], [0, 0, 0], [5, 5, 5]));
        Assert.Contains("positions 0 to 4 do not fit a cache of 4 tokens", error.Message, StringComparison.Ordinal);
    }

    private float[] Whole(float[] x)
    {
        var rows = x.Length / (Length * Width);
        return _part.Forward(Tensor.From(x, [rows, Length, Width]), PartCheck.Step(rows, Length)).ToArray();
    }

    /// <summary>Feeds each row's tokens [start, start + count), padded with junk to the longest count.</summary>
    private void Decode(CacheSet caches, float[] x, float[] found, int[] starts, int[] counts)
    {
        var (rows, length) = (starts.Length, counts.Max());
        var inputs = Tensor.Temporary([rows, length, Width]);
        inputs.Floats.Fill(123);
        var positions = Tensor.Temporary([rows, length], ElementType.I32);
        for (var row = 0; row < rows; row++)
        {
            x.AsSpan(((row * Length) + starts[row]) * Width, counts[row] * Width).CopyTo(inputs.Floats[(row * length * Width)..]);
            for (var i = 0; i < length; i++) positions.Ints[(row * length) + i] = starts[row] + i;
        }

        var y = _part.Forward(inputs, new ForwardContext { Positions = positions, Caches = caches });
        for (var row = 0; row < rows; row++)
            y.Floats.Slice(row * length * Width, counts[row] * Width).CopyTo(found.AsSpan(((row * Length) + starts[row]) * Width));
    }

    /// <summary>The selected rows up to <paramref name="start"/>, and new tokens from there.</summary>
    private static float[] Continued(float[] x, int[] selection, int start, ulong seed)
    {
        var fresh = PartCheck.Normal(x.Length, seed);
        for (var row = 0; row < selection.Length; row++)
            Row(x, selection[row]).AsSpan(0, start * Width).CopyTo(fresh.AsSpan(row * Length * Width));
        return fresh;
    }

    private protected static float[] Row(float[] x, int row) => x[(row * Length * Width)..((row + 1) * Length * Width)];
}

public sealed class CachedMultiHeadAttentionTests() : CachedAttentionTests(s_options)
{
    private static readonly MultiHeadOptions s_options = new(4) { KeyValueHeads = 2, Bias = true, Position = new RotaryOptions(Positions: 16) };

    [Fact]
    public void Cached_cross_attention_equals_uncached_and_reads_the_memory_once()
    {
        using var scope = Arena.Current.Scope();
        var part = PartCheck.Shaken(s_options.Build(PartCheck.Builder(Width), AttentionRole.Cross, memoryWidth: 6));
        var memory = Tensor.From(PartCheck.Normal(Rows * 7 * 6, 9), [Rows, 7, 6]);
        var lengths = PartCheck.Ints([Rows], 7, 3, 5);
        var caches = new CacheSet(part, new CacheSize(Rows, Length, MemoryTokens: 7));
        var x = Tensor.From(X, [Rows, Length, Width]);
        var whole = part.Forward(x, new ForwardContext { Positions = PartCheck.Positions(Rows, Length), Memory = memory, MemoryLengths = lengths }).ToArray();

        var step = new ForwardContext { Positions = PartCheck.Positions(Rows, Length), Memory = memory, MemoryLengths = lengths, Caches = caches };
        PartCheck.Compare("first", whole, part.Forward(x, step).ToArray(), Tolerance);
        memory.Floats.Clear();
        PartCheck.Compare("second", whole, part.Forward(x, step).ToArray(), Tolerance);

        // Rows 2 and 0 change places, with their lengths.
        caches.Select([2, 1, 0]);
        var swapped = new ForwardContext { Positions = PartCheck.Positions(Rows, Length), Memory = memory, MemoryLengths = PartCheck.Ints([Rows], 5, 3, 7), Caches = caches };
        float[] exchanged = [.. Row(X, 2), .. Row(X, 1), .. Row(X, 0)];
        PartCheck.Compare(
            "selected", [.. Row(whole, 2), .. Row(whole, 1), .. Row(whole, 0)], part.Forward(Tensor.From(exchanged, [Rows, Length, Width]), swapped).ToArray(), Tolerance);
    }
}

public sealed class CachedSlidingWindowTests() : CachedAttentionTests(
    new SlidingWindowOptions(4, 3) { KeyValueHeads = 2, Bias = true, Position = new RotaryOptions(Positions: 16) });

public sealed class CachedAttentionOptionsTests() : CachedAttentionTests(new MultiHeadOptions(4)
{
    KeyValueHeads = 1, Bias = true, OutputBias = false, QueryKeyNorm = new RmsNormOptions(), ScoreScale = 0.7f, SoftCap = 2, Sinks = true,
});

public sealed class CachedAlibiTests() : CachedAttentionTests(new MultiHeadOptions(4) { Sinks = true, Position = new AlibiOptions() });

public sealed class CachedLearnedAlibiTests() : CachedAttentionTests(new MultiHeadOptions(4) { KeyValueHeads = 2, Position = new AlibiOptions(Learned: true) });

public sealed class CachedBucketsTests() : CachedAttentionTests(new SlidingWindowOptions(2, 6) { Position = new RelativePositionBiasOptions(6, 7) });

public sealed class CachedLatentAttentionTests() : CachedAttentionTests(new LatentOptions(4, 6, 5, 4, 3) { QLoraRank = 7, Bias = true })
{
    [Fact]
    public void The_cache_holds_the_latent_and_the_shared_key_part_only()
    {
        var part = new LatentOptions(4, 6, 5, 4, 3).Build(PartCheck.Builder(Width), AttentionRole.Causal);
        Assert.Equal(Rows * Length * (6 + 4) * sizeof(float), ((ICached)part).CreateCache(new CacheSize(Rows, Length))!.Bytes);
    }
}
