using FsCheck;
using FsCheck.Fluent;
using Tessera.Tensors.Kernels;
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
            select new AttentionTests.Sizes(batch, queries, keys, keys + 2, keyHeads * shared, keyHeads, widths.Item1, widths.Item2, mask, cap, plain);
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
        var (q, k, v) = (AttentionTests.Random([1, 40, 1, 16], 1), AttentionTests.Random([1, 40, 1, 16], 2), AttentionTests.Random([1, 40, 1, 16], 3));
        var exact = Op.Attention(q, k, v, BlockMask.Full(40, 40)).ToArray();
        using var precision = Autocast.Enter(Precision.BF16);
        Assert.Equal(Simd.Level < KernelLevel.Avx512Bf16, exact.SequenceEqual(Op.Attention(q, k, v, BlockMask.Full(40, 40)).ToArray()));
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

    private static void Agree(AttentionTests.Sizes s)
    {
        using var precision = Autocast.Enter(Precision.BF16);
        AttentionTests.AgreeWithTranscription(s, FromExact, values => values);
        if (Simd.Level >= KernelLevel.Avx512Bf16) AttentionTests.AgreeWithTranscription(s, FromRounded, Round);
    }

    private static double Round(double value)
    {
        var bits = BitConverter.SingleToUInt32Bits((float)value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
    }
}
