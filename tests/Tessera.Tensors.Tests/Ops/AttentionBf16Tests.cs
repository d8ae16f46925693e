using FsCheck;
using FsCheck.Fluent;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Testing;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>
/// Attention under <see cref="Precision.BF16"/> against the equation: outputs within 1e-2 of the exact ones, and within 5e-3 of those
/// of inputs rounded to BF16, where only the rounding of probabilities and of their gradients remains; gradients within twice that.
/// (Levels without BF16 compute in F32, which is nearer still to the exact result.)
/// </summary>
public class AttentionBf16Tests
{
    private const double FromExact = 1e-2, FromRounded = 5e-3;

    [Fact]
    public void Attention_and_its_gradient_agree_with_the_equation_on_random_shapes_and_masks()
    {
        var cases =
            from batch in Gen.Choose(1, 2)
            from keyHeads in Gen.Choose(1, 2)
            from queries in Gen.Choose(7, 140)
            from keys in Gen.Choose(1, 140)
            from widths in Gen.Choose(4, 70).Two()
            from mask in Gen.Elements(AttentionTests.MaskNames)
            from shared in Gen.Choose(1, 2)
            from cap in Gen.Elements(0f, 2f)
            from plain in Gen.Elements(true, false)
            select new AttentionTests.Sizes(
                batch, queries, keys, keys + 2, keyHeads * shared, keyHeads, widths.Item1, widths.Item2, mask, cap, plain);
        Check.One(Config.QuickThrowOnFailure.WithReplay(17, 31).WithMaxTest(20), Prop.ForAll(cases.ToArbitrary(), Agree));
    }

    [Theory]
    [InlineData(63, 63, 16, 16)]
    [InlineData(64, 64, 64, 64)]
    [InlineData(65, 65, 17, 33)]
    [InlineData(20, 70, 192, 128)] // as in multi-head latent attention
    [InlineData(33, 130, 5, 7)]
    public void Lengths_around_the_tile_size_agree_with_the_equation(int queries, int keys, int width, int valueWidth)
    {
        foreach (var mask in AttentionTests.MaskNames)
            Agree(new AttentionTests.Sizes(1, queries, keys, keys + 3, 4, 2, width, valueWidth, mask, 0));
        Agree(new AttentionTests.Sizes(1, queries, keys, keys, 3, 1, width, valueWidth, "causal", 0, Plain: true)); // fewer key heads than threads
    }

    [Fact]
    public void Queries_of_all_heads_may_share_one_latent() =>
        Agree(new AttentionTests.Sizes(1, 9, 70, 70, 4, 1, 576, 512, "causal", 0, Plain: true));

    [SharedFact("fixtures/torch/attention-full")]
    public void Attention_agrees_with_PyTorch_under_every_mask()
    {
        using var precision = Autocast.Enter(Precision.BF16);
        foreach (var folder in Directory.GetDirectories(Fixture.Shared("fixtures/torch")!, "attention-*"))
            AttentionFixtureTests.Agree(folder, Path.GetFileName(folder)["attention-".Length..], 2 * FromExact);
    }

    [Theory]
    [InlineData(Precision.F32)]
    [InlineData(Precision.BF16)]
    public void A_bias_that_is_not_a_number_spoils_its_query_whatever_its_bits_and_no_other(Precision precision)
    {
        const int Length = 70, Heads = 2, Width = 8, Query = 37, Key = 20;
        var inputs = Enumerable.Range(1, 4).Select(seed => OperationCheck.Random([1, Length, Heads, Width], seed)).ToArray();
        var clean = Run(0);
        foreach (var bits in (ReadOnlySpan<uint>)[0x7FC00000, 0xFFC00000, 0x7FC00001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x7FC08000])
        {
            Assert.Equal(clean.Y, Run(bits, hidden: true).Y);
            var (y, dq, dk, dBias) = Run(bits);
            for (var at = 0; at < y.Length; at++)
            {
                var spoilt = at / Width % Heads == 1 && at / Width / Heads == Query;
                Assert.True(spoilt ? float.IsNaN(y[at]) : y[at] == clean.Y[at], $"{bits:X}: output {at} is {y[at]}");
                Assert.True(spoilt ? float.IsNaN(dq[at]) : dq[at] == clean.Dq[at], $"{bits:X}: gradient {at} is {dq[at]}");
                if (at / Width % Heads == 1 && at / Width / Heads <= Query)
                    Assert.True(float.IsNaN(dk[at]), $"{bits:X}: gradient of key {at} is {dk[at]}");
                if (at / Width % Heads == 0) Assert.Equal(clean.Dk[at], dk[at]);
            }

            for (var key = 0; key <= Query; key++) Assert.True(float.IsNaN(dBias[(((1 * Length) + Query) * Length) + key]));
        }

        (float[] Y, float[] Dq, float[] Dk, float[] DBias) Run(uint bits, bool hidden = false)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            using var cast = Autocast.Enter(precision);
            var (q, k, v) = (
                Tensor.From(inputs[0].Values, inputs[0].Shape).WithGradient(),
                Tensor.From(inputs[1].Values, inputs[1].Shape).WithGradient(), Tensor.From(inputs[2].Values, inputs[2].Shape));
            var bias = Tensor.From(OperationCheck.Random([Heads, Length, Length], 5).Values, [Heads, Length, Length]).WithGradient();
            if (bits != 0)
                bias.Floats[(((1 * Length) + Query) * Length) + (hidden ? Query + 1 : Key)] = BitConverter.UInt32BitsToSingle(bits);
            var y = Op.Attention(q, k, v, BlockMask.Causal(Length, Length), new AttentionSettings { Bias = ScoreBias.Dense(bias) });
            var values = y.ToArray();
            tape.Backward(y, inputs[3].Values);
            return (values, q.Gradient.ToArray(), k.Gradient.ToArray(), bias.Gradient.ToArray());
        }
    }

    [Fact]
    public void The_same_inputs_give_the_same_bits_every_time()
    {
        using var precision = Autocast.Enter(Precision.BF16);
        foreach (var (batch, heads) in new[] { (1, 1), (2, 4) })
        {
            var first = AttentionTests.Bits(batch, heads);
            for (var run = 0; run < 3; run++) Assert.Equal(first, AttentionTests.Bits(batch, heads));
        }
    }

    [Fact]
    public void Factors_are_rounded_where_the_level_has_BF16()
    {
        using var scope = Arena.Current.Scope();
        var (q, k, v) = (
            AttentionTests.Random([1, 40, 1, 16], 1), AttentionTests.Random([1, 40, 1, 16], 2), AttentionTests.Random([1, 40, 1, 16], 3));
        var exact = Op.Attention(q, k, v, BlockMask.Full(40, 40)).ToArray();
        using var precision = Autocast.Enter(Precision.BF16);
        Assert.Equal(!AmxTiles.Available && !Simd.Bf16DotsPay, exact.SequenceEqual(Op.Attention(q, k, v, BlockMask.Full(40, 40)).ToArray()));
    }

    [Theory]
    [InlineData(0x7FC00000u)]
    [InlineData(0x7FFFFFFFu)]
    [InlineData(0xFFFFFFFFu)]
    public void NaN_in_a_value_reaches_its_column_of_the_output(uint bits)
    {
        using var scope = Arena.Current.Scope();
        using var precision = Autocast.Enter(Precision.BF16);
        var (q, v) = (AttentionTests.Random([1, 40, 1, 16], 1), AttentionTests.Random([1, 40, 1, 16], 3));
        v.Floats[(20 * 16) + 5] = BitConverter.UInt32BitsToSingle(bits);
        var y = Op.Attention(q, q, v, BlockMask.Full(40, 40)).ToArray();
        for (var i = 0; i < y.Length; i++) Assert.Equal(i % 16 == 5, float.IsNaN(y[i]));
    }

    internal static void Agree(AttentionTests.Sizes s)
    {
        using var precision = Autocast.Enter(Precision.BF16);
        AttentionTests.AgreeWithTranscription(s, FromExact, values => values);
        var rounds = AmxTiles.Available ? AttentionAmx.Pays(s.Queries, s.Keys) : Simd.Bf16DotsPay;
        if (rounds) AttentionTests.AgreeWithTranscription(s, FromRounded, Round);
    }

    private static double Round(double value)
    {
        var bits = BitConverter.SingleToUInt32Bits((float)value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
    }
}
