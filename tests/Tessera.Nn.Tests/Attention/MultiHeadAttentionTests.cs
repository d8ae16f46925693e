using Tessera.Nn.Norms;
using Tessera.Nn.Caches;
using Tessera.Nn.Attention;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

namespace Tessera.Nn.Tests;

public sealed class MultiHeadAttentionTests
{
    private const int Batch = 2;
    private const int Length = 5;
    private const int Width = 8;
    private const double Tolerance = 5e-6;

    [Fact]
    public void Causal_attention_is_its_equation() =>
        Check(new MultiHeadOptions(2), MixerRole.Causal, (_, query, key) => key <= query);

    [Fact]
    public void Attention_with_biases_is_its_equation() =>
        Check(new MultiHeadOptions(2) { Bias = true }, MixerRole.Causal, (_, query, key) => key <= query);

    [Fact]
    public void Grouped_key_heads_are_shared_by_neighbouring_query_heads() =>
        Check(new MultiHeadOptions(4) { KeyValueHeads = 2 }, MixerRole.Causal, (_, query, key) => key <= query);

    [Fact]
    public void One_key_head_and_a_head_width_of_its_own() =>
        Check(new MultiHeadOptions(3) { KeyValueHeads = 1, HeadWidth = 6, Bias = true }, MixerRole.Causal, (_, query, key) => key <= query);

    [Theory]
    [InlineData(RotaryLayout.Halves, 10000)]
    [InlineData(RotaryLayout.Interleaved, 500)]
    public void Rotary_positions_turn_queries_and_keys(RotaryLayout layout, float theta) =>
        Check(
            new MultiHeadOptions(2) { KeyValueHeads = 1, Position = new RotaryOptions(theta, layout, Positions: 16) },
            MixerRole.Causal, (_, query, key) => key <= query, positions: [0, 1, 2, 3, 4, 3, 4, 5, 6, 7]);

    [Fact]
    public void Without_padding_a_bidirectional_token_sees_all() =>
        Check(new MultiHeadOptions(2), MixerRole.Bidirectional, (_, _, _) => true);

    [Fact]
    public void Padding_is_never_seen()
    {
        int[] lengths = [3, 5];
        Check(
            new MultiHeadOptions(2) { Position = new RotaryOptions(Positions: 8) },
            MixerRole.Bidirectional,
            (row, _, key) => key < lengths[row],
            lengths: lengths, isReal: i => i / Width % Length < lengths[i / (Width * Length)]);
    }

    [Fact]
    public void Packed_sequences_do_not_see_one_another()
    {
        int[] segments = [0, 0, 1, 1, 1, 0, 0, 0, 0, 1];
        Check(
            new MultiHeadOptions(2) { Position = new RotaryOptions(Positions: 8) }, MixerRole.Causal,
            (row, query, key) => key <= query && segments[(row * Length) + query] == segments[(row * Length) + key],
            positions: [0, 1, 0, 1, 2, 0, 1, 2, 3, 0], segments: segments);
    }

    [Fact]
    public void Cross_attention_reads_the_memory_and_not_its_padding()
    {
        const int MemoryLength = 4, MemoryWidth = 6;
        int[] lengths = [4, 2];
        var options = new MultiHeadOptions(4) { KeyValueHeads = 2, Bias = true, Position = new RotaryOptions() };
        var part = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), MixerRole.Cross, MemoryWidth));
        PartCheck.Run(
            part,
            inputs => part.Forward(inputs["x"], new ForwardContext
            {
                Positions = PartCheck.Positions(Batch, Length), Memory = inputs["memory"], MemoryLengths = PartCheck.Ints([Batch], lengths),
            }),
            exact => Equation(exact, options, "memory", MemoryWidth, null, (row, _, key) => key < lengths[row]),
            Tolerance, null, ("x", [Batch, Length, Width]), ("memory", [Batch, MemoryLength, MemoryWidth]));
    }

    [Fact]
    public void Cross_attention_without_a_memory_says_so()
    {
        using var scope = Arena.Current.Scope();
        var part = new MultiHeadOptions(2).Build(PartCheck.Builder(Width), MixerRole.Cross, 8);
        var error = Assert.Throws<InvalidOperationException>(() => part.Forward(Tensor.Temporary([1, 2, Width]), PartCheck.Step(1, 2)));
        Assert.Contains("Memory", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_encoders_attention_keeps_no_cache()
    {
        var encoder = new MultiHeadOptions(2).Build(PartCheck.Builder(Width), MixerRole.Bidirectional);
        var decoder = new MultiHeadOptions(2).Build(PartCheck.Builder(Width), MixerRole.Causal);
        Assert.Equal(0, CacheSet.BytesOf(encoder, 640, 0));
        Assert.Equal(2 * 640 * Width * sizeof(float), CacheSet.BytesOf(decoder, 640, 0));
    }

    [Theory]
    [InlineData(0, null, null, "model.heads: is 0; allowed: 1 to 65536")]
    [InlineData(3, null, null, "model.heads: is 3; allowed: a divisor of the width 8, or a headWidth")]
    [InlineData(4, 3, null, "model.keyValueHeads: is 3; allowed: a divisor of heads, 4")]
    [InlineData(4, 0, null, "model.keyValueHeads: is 0; allowed: a divisor of heads, 4")]
    [InlineData(4, null, 0, "model.headWidth: is 0; allowed: 1 to 16384")]
    [InlineData(65536, null, 65536, "model.headWidth: is 65536; allowed: 1 to 16384")]
    public void Sizes_that_cannot_be_are_named(int heads, int? keyHeads, int? headWidth, string message)
    {
        var options = new MultiHeadOptions(heads) { KeyValueHeads = keyHeads, HeadWidth = headWidth };
        var error = Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(Width), MixerRole.Causal));
        Assert.Equal(message, error.Message);
    }

    internal static void Check(
        MultiHeadOptions options, MixerRole role, Func<int, int, int, bool> sees, int[]? positions = null, int[]? lengths = null,
        int[]? segments = null, Func<int, bool>? isReal = null, Func<int, int>? bucket = null)
    {
        positions ??= [.. Enumerable.Range(0, Batch * Length).Select(i => i % Length)];
        var part = PartCheck.Shaken(options.Build(PartCheck.Builder(Width), role));
        PartCheck.Run(
            part,
            inputs => part.Forward(inputs["x"], new ForwardContext
            {
                Positions = PartCheck.Ints([Batch, Length], positions),
                Lengths = lengths is null ? null : PartCheck.Ints([Batch], lengths),
                Segments = segments is null ? null : PartCheck.Ints([Batch, Length], segments),
            }),
            exact => Equation(exact, options, "x", Width, positions, sees, bucket), Tolerance, isReal, ("x", [Batch, Length, Width]));
    }

    private static double[] Equation(
        Dictionary<string, double[]> exact,
        MultiHeadOptions options,
        string source,
        int sourceWidth,
        int[]? positions,
        Func<int, int, int, bool> sees,
        Func<int, int>? bucket = null)
    {
        var (heads, keyHeads, width) = options.SizesIn(Width);
        var queries = Project("q_proj", exact["x"], Width);
        var keys = Project("k_proj", exact[source], sourceWidth);
        var values = Project("v_proj", exact[source], sourceWidth);
        if (options.QueryKeyNorm is not null)
        {
            queries = Normed(queries, exact["q_norm.weight"]);
            keys = Normed(keys, exact["k_norm.weight"]);
        }

        if (positions is not null && options.Position is RotaryOptions rotary)
        {
            queries = ExactMath.Rotate(queries, heads, width, positions, rotary.Theta, rotary.Layout == RotaryLayout.Halves);
            keys = ExactMath.Rotate(keys, keyHeads, width, positions, rotary.Theta, rotary.Layout == RotaryLayout.Halves);
        }

        var attended = ExactMath.Attend(
            queries, keys, values, Batch, heads, keyHeads, width, sees, Score, exact.GetValueOrDefault("sinks"));
        return Project("o_proj", attended, heads * width);

        double[] Normed(double[] x, double[] weight)
        {
            if (!options.PerHeadQueryKeyNorm) return ExactMath.RmsNorm(x, weight, options.QueryKeyNorm!.Epsilon);
            double[] ones = [.. Enumerable.Repeat(1.0, width)];
            var normed = options.QueryKeyNorm is RmsNormOptions
                ? ExactMath.RmsNorm(x, ones, options.QueryKeyNorm.Epsilon)
                : ExactMath.LayerNorm(x, ones, null, options.QueryKeyNorm!.Epsilon);
            return [.. normed.Select((value, i) => value * weight[i % weight.Length])];
        }

        double Score(double product, int head, int query, int key)
        {
            var score = product * (options.ScoreScale ?? 1 / Math.Sqrt(width));
            if (options.SoftCap > 0) score = options.SoftCap * Math.Tanh(score / options.SoftCap);
            return score + (options.Position switch
            {
                AlibiOptions { Learned: true } => -exact["position.slopes"][head] * Math.Abs(key - query),
                AlibiOptions => -Math.Pow(2, -8.0 * (head + 1) / heads) * Math.Abs(key - query), // heads are a power of two
                RelativePositionBiasOptions => exact["position.weight"][(bucket!(key - query) * heads) + head],
                _ => 0,
            });
        }

        double[] Project(string name, double[] x, int inputs) =>
            ExactMath.Linear(x, exact[$"{name}.weight"], exact.GetValueOrDefault($"{name}.bias"), inputs);
    }
}
