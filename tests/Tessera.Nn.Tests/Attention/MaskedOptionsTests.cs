using Tessera.Nn.Attention;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Nn.Mixers;
using Tessera.Nn.Attention.Patterns;

namespace Tessera.Nn.Tests;

/// <summary>What attentions by softmax may be given besides heads.</summary>
public sealed class MaskedOptionsTests
{
    private const int Width = 8;

    public static TheoryData<string> Names => [.. s_options.Keys];

    private static readonly Dictionary<string, MultiHeadOptions> s_options = new()
    {
        ["biases but for the output"] = new MultiHeadOptions(2) { Bias = true, OutputBias = false },
        ["a bias of the output alone"] = new MultiHeadOptions(2) { OutputBias = true },
        ["norms of queries and keys"] = new MultiHeadOptions(2)
        {
            KeyValueHeads = 1,
            QueryKeyNorm = new RmsNormOptions(1e-3f),
            Position = new RotaryOptions(Positions: 8),
        },
        ["layer norms of queries and keys with weights for each head"] = new MultiHeadOptions(4)
        {
            KeyValueHeads = 2, QueryKeyNorm = new LayerNormOptions(1e-2f, Bias: false), PerHeadQueryKeyNorm = true,
            Position = new RotaryOptions(Layout: RotaryLayout.Interleaved, Positions: 8),
        },
        ["RMS norms of queries and keys with weights for each head"] = new MultiHeadOptions(2)
        {
            QueryKeyNorm = new RmsNormOptions(1e-2f), PerHeadQueryKeyNorm = true,
        },
        ["norms of whole queries and keys"] = new MultiHeadOptions(4)
        {
            KeyValueHeads = 2,
            QueryKeyNorm = new RmsNormOptions(1e-3f),
            WholeQueryKeyNorm = true,
            Position = new RotaryOptions(Positions: 8),
        },
        ["a scale of the scores"] = new MultiHeadOptions(2) { ScoreScale = 0.9f },
        ["a soft cap"] = new MultiHeadOptions(2) { SoftCap = 0.8f },
        ["sinks"] = new MultiHeadOptions(4) { KeyValueHeads = 2, Sinks = true },
        ["alibi"] = new MultiHeadOptions(4) { KeyValueHeads = 2, Position = new AlibiOptions() },
        ["learned alibi"] = new MultiHeadOptions(4) { KeyValueHeads = 1, Position = new AlibiOptions(Learned: true) },
        ["all"] = new MultiHeadOptions(2)
        {
            Bias = true,
            QueryKeyNorm = new RmsNormOptions(),
            ScoreScale = 0.5f,
            SoftCap = 1.5f,
            Sinks = true,
            Position = new AlibiOptions(),
        },
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void Each_option_is_its_equation(string name) =>
        MultiHeadAttentionTests.Check(s_options[name], MixerRole.Causal, (_, query, key) => key <= query);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(9)]
    public void A_window_sees_so_many_keys_its_own_included(int window) => MultiHeadAttentionTests.Check(
        new MultiHeadOptions(2) { Pattern = new WindowPattern(window), Position = new RotaryOptions(Positions: 8) }, MixerRole.Causal,
        (_, query, key) => key <= query && key > query - window);

    [Fact]
    public void A_window_of_an_encoder_sees_to_both_sides() => MultiHeadAttentionTests.Check(
        new MultiHeadOptions(2) { Pattern = new WindowPattern(2) }, MixerRole.Bidirectional, (_, query, key) => Math.Abs(key - query) < 2);

    [Fact]
    public void A_window_of_one_attends_only_to_itself()
    {
        using var scope = Arena.Current.Scope();
        var part = new MultiHeadOptions(2) { Pattern = new WindowPattern(1) }.Build(PartCheck.Builder(Width), MixerRole.Causal);
        var x = PartCheck.Normal(3 * Width, 1);
        var exact = PartCheck.Exact(part);
        var values = ExactMath.Linear([.. x.Select(value => (double)value)], exact["v_proj.weight"], null, Width);
        var expected = ExactMath.Linear(values, exact["o_proj.weight"], null, Width);
        var found = part.Forward(Tensor.From(x, [1, 3, Width]), PartCheck.Step(1, 3)).ToArray();
        PartCheck.Compare("values", expected, [.. found.Select(value => (double)value)], 5e-6);
    }

    [Fact]
    public void Buckets_have_a_score_each()
    {
        // 4 buckets up to distance 3: 0, 1, then 2 and 3 or more in the last ones.
        MultiHeadAttentionTests.Check(
            new MultiHeadOptions(2) { Position = new RelativePositionBiasOptions(4, 3) }, MixerRole.Causal, (_, query, key) => key <= query,
            bucket: distance => distance switch { 0 => 0, -1 => 1, -2 => 2, _ => 3 });

        // With both sides two buckets for each: 0 and the rest.
        MultiHeadAttentionTests.Check(
            new MultiHeadOptions(2) { Position = new RelativePositionBiasOptions(4, 3) }, MixerRole.Bidirectional, (_, _, _) => true,
            bucket: distance => distance == 0 ? 0 : distance < 0 ? 1 : 3);
    }

    [Fact]
    public void A_window_costs_the_keys_it_sees()
    {
        const int Length = 10;
        foreach (var window in (int[])[1, 3, 10, 40])
        {
            foreach (var role in (MixerRole[])[MixerRole.Causal, MixerRole.Bidirectional])
            {
                var seen = Enumerable.Range(0, Length * Length).Count(pair =>
                        pair / Length - (pair % Length) is var distance
                        && Math.Abs(distance) < window
                        && (distance >= 0 || role != MixerRole.Causal)
                    );
                var part = new MultiHeadOptions(2) { Pattern = new WindowPattern(window) }.Build(PartCheck.Builder(Width), role);
                Assert.Equal((2.0 * 4 * Width * Width) + (4.0 * Width * seen / Length), part.FlopsPerToken(Length), 6);
            }
        }
    }

    [Fact]
    public void Options_that_cannot_be_are_named()
    {
        Expect("model.pattern.window: is 0; allowed: at least 1", new MultiHeadOptions(2) { Pattern = new WindowPattern(0) });
        Expect("model.scoreScale: is 0; allowed: greater than 0", new MultiHeadOptions(2) { ScoreScale = 0 });
        Expect(
            "model.wholeQueryKeyNorm: is true; allowed: false where there is no queryKeyNorm",
            new MultiHeadOptions(2) { WholeQueryKeyNorm = true });
        Expect("model.softCap: is -1; allowed: 0 (none) or above", new MultiHeadOptions(2) { SoftCap = -1 });
        Expect(
            "model.queryKeyNorm.epsilon: is 0; allowed: greater than 0", new MultiHeadOptions(2) { QueryKeyNorm = new RmsNormOptions(0) });
        Expect(
            "model.perHeadQueryKeyNorm: is true; allowed: false where there is no queryKeyNorm, or wholeQueryKeyNorm",
            new MultiHeadOptions(2) { PerHeadQueryKeyNorm = true });
        Expect(
            "model.queryKeyNorm.kind: is layer; allowed: rms without unitOffset, or layer with bias: false, where each head has weights of "
            + "its own",
            new MultiHeadOptions(2) { QueryKeyNorm = new LayerNormOptions(), PerHeadQueryKeyNorm = true });
        Expect(
            "model.position.buckets: is 3; allowed: 4 to 65536",
            new MultiHeadOptions(2) { Position = new RelativePositionBiasOptions(3, 9) });
        Expect(
            "model.position.maxDistance: is 4; allowed: more than buckets / 2, 4",
            new MultiHeadOptions(2) { Position = new RelativePositionBiasOptions(8, 4) });
        Expect(
            "model.pattern.kind: is window; allowed: full, for cross-attention", new MultiHeadOptions(2) { Pattern = new WindowPattern(1) },
            MixerRole.Cross);

        static void Expect(string message, MixerOptions options, MixerRole role = MixerRole.Causal)
        {
            var error = Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(Width), role, Width));
            Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        }
    }
}
