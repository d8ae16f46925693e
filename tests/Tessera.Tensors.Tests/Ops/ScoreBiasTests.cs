using FsCheck;
using FsCheck.Fluent;
using Tessera.Tensors.Tests.Caches;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>Score biases that are evaluated tile by tile against attention with a table of all pairs, in double precision.</summary>
public class ScoreBiasTests
{
    private const double Tolerance = 5e-6;

    private static readonly string[] s_masks = [.. AttentionTests.MaskNames, "cached-rows", "cached-rows-window-7", "cached-rows-per-head"];

    private static readonly uint[] s_nans = [0x7FC00000, 0xFFC00000, 0x7FC00001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x7FC08000];

    public static TheoryData<string> Kinds => [.. BiasEquation.Kinds];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_bias_and_its_gradients_agree_with_a_table_of_all_pairs_under_every_mask(string kind)
    {
        foreach (var (queries, keys) in ((int, int)[])[(75, 130), (64, 64), (3, 130), (1, 65), (65, 63)])
            foreach (var mask in s_masks)
                Agree(new AttentionTests.Sizes(2, queries, keys, keys + 3, 2, 1, 9, 17, mask, 0), kind);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_bias_is_added_after_the_cap(string kind)
    {
        Agree(new AttentionTests.Sizes(2, 70, 90, 90, 2, 1, 16, 16, "causal", 1.5f), kind);
        Agree(new AttentionTests.Sizes(2, 2, 90, 90, 2, 1, 16, 16, "causal", 1.5f), kind);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Few_heads_for_the_threads_give_the_same_gradients(string kind)
    {
        // One key head of one batch row: keys and queries are done apart, where there are more threads than that.
        Agree(new AttentionTests.Sizes(1, 300, 300, 300, 3, 1, 24, 24, "causal", 0), kind);
        Agree(new AttentionTests.Sizes(1, 550, 300, 300, 1, 1, 24, 24, "chosen-64x1", 0), kind);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Decoding_over_ranges_of_keys_agrees(string kind) =>
        Agree(new AttentionTests.Sizes(3, 2, 1030, 1040, 4, 2, 20, 20, "cached-rows", 0), kind);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Keys_in_blocks_of_a_cache_have_the_bits_of_a_tensor(string kind)
    {
        foreach (var mask in (string[])["cached-rows", "cached-rows-window-7"])
        {
            foreach (var queries in (int[])[1, 3, 80])
            {
                using var scope = Arena.Current.Scope();
                var s = new AttentionTests.Sizes(2, queries, 300, 300, 4, 2, 16, 16, mask, 0);
                var x = Attended(s);
                var settings = new AttentionSettings { Bias = new BiasEquation(s, kind).Bias(Inputs(new BiasEquation(s, kind))) };
                var cached = new CachedTokens(x[1], x[2], s.BlockMask(), 5);
                Assert.Equal(
                    Op.Attention(x[0], x[1], x[2], s.BlockMask(), settings).ToArray(),
                    Op.Attention(x[0], cached.Keys, cached.Values, cached.Table, s.BlockMask(), settings).ToArray());
            }
        }
    }

    [Fact]
    public void Random_shapes_agree()
    {
        var cases =
            from batch in Gen.Choose(1, 3)
            from keyHeads in Gen.Choose(1, 3)
            from queries in Gen.Choose(1, 150)
            from keys in Gen.Choose(1, 200)
            from width in Gen.Choose(1, 20)
            from shared in Gen.Choose(1, 2)
            from mask in Gen.Elements(s_masks)
            from kind in Gen.Elements(BiasEquation.Kinds)
            select (new AttentionTests.Sizes(batch, queries, keys, keys, keyHeads * shared, keyHeads, width, width, mask, 0), kind);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(40), Prop.ForAll(cases.ToArbitrary(), one => Agree(one.Item1, one.kind)));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Under_BF16_it_agrees_as_attention_does(string kind)
    {
        if (kind == "relative-one") return; // the same for all keys of a query: its gradients cancel, and rounding is all that is left
        using var precision = Autocast.Enter(Precision.BF16);
        foreach (var mask in s_masks) Agree(new AttentionTests.Sizes(1, 70, 130, 130, 2, 1, 40, 40, mask, 0), kind, 1e-2);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_bias_that_attentions_share_collects_all_their_gradients(string kind)
    {
        var s = new AttentionTests.Sizes(2, 70, 70, 70, 2, 2, 8, 8, "causal", 0);
        var once = Run(1);
        var twice = Run(2);
        for (var i = 0; i < once.Length; i++)
            OperationCheck.Compare($"{kind}, input {i}", [.. once[i].Select(value => 2.0 * value)], twice[i], 1e-6);

        float[][] Run(int times)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var (x, inputs) = (Attended(s), Inputs(new BiasEquation(s, kind)));
            var settings = new AttentionSettings { Bias = new BiasEquation(s, kind).Bias(inputs) };
            var y = Op.Attention(x[0], x[1], x[2], s.BlockMask(), settings);
            if (times == 2) y = Op.Add(y, Op.Attention(x[0], x[1], x[2], s.BlockMask(), settings));
            tape.Backward(y, OperationCheck.Random(y.Shape, 6).Values);
            return [.. inputs.Select(input => input.Gradient.ToArray())];
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_gradient_of_a_bias_is_the_same_whether_or_not_others_want_theirs(string kind)
    {
        foreach (var batch in (int[])[1, 2])
        {
            var s = new AttentionTests.Sizes(batch, 90, 90, 90, batch, batch, 8, 8, "causal", 0);
            var all = Run(s, _ => true);
            var count = all.Length;
            for (var only = 3; only < count; only++)
            {
                var found = Run(s, which => which == only);
                OperationCheck.Compare($"{kind}, input {only}", [.. all[only].Select(value => (double)value)], found[only], 1e-6);
                Assert.All(Enumerable.Range(0, count).Where(which => which != only), which => Assert.Empty(found[which]));
            }
        }

        float[][] Run(AttentionTests.Sizes s, Func<int, bool> wants)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var equation = new BiasEquation(s, kind);
            Tensor[] x = [.. Samples(s).Concat(equation.Inputs()).Select((input, which) =>
                Tensor.From(input.Values, input.Shape) is var tensor && wants(which) ? tensor.WithGradient() : tensor)];
            var y = Op.Attention(x[0], x[1], x[2], s.BlockMask(), new AttentionSettings { Bias = equation.Bias(x[3..]) });
            tape.Backward(y, OperationCheck.Random(y.Shape, 6).Values);
            return [.. x.Select(input => input.Gradient.ToArray())];
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_same_inputs_give_the_same_bits_every_time(string kind)
    {
        foreach (var batch in (int[])[1, 3])
        {
            var first = Bits(batch);
            for (var run = 0; run < 3; run++) Assert.Equal(first, Bits(batch));
        }

        float[] Bits(int batch)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var s = new AttentionTests.Sizes(batch, 300, 300, 300, 1, 1, 32, 32, "causal", 0);
            var (x, inputs) = (Attended(s), Inputs(new BiasEquation(s, kind)));
            var y = Op.Attention(x[0], x[1], x[2], s.BlockMask(), new AttentionSettings { Bias = new BiasEquation(s, kind).Bias(inputs) });
            tape.Backward(y, OperationCheck.Random(y.Shape, 6).Values);
            return [.. y.ToArray(), .. x.Concat(inputs).SelectMany(input => input.Gradient.ToArray())];
        }
    }

    [Theory]
    [InlineData(100)]
    [InlineData(1)]
    public void Nothing_managed_is_allocated_by_a_step_that_has_been_seen_before(int queries)
    {
        foreach (var kind in (string[])["linear", "buckets-32", "relative", "dense"])
        {
            var s = new AttentionTests.Sizes(2, queries, 300, 300, 2, 2, 16, 16, "causal", 0);
            var equation = new BiasEquation(s, kind);
            var (samples, inputs, mask) = (Samples(s), equation.Inputs(), s.BlockMask());
            var dy = OperationCheck.Random([2, queries, 2, 16], 6).Values;
            for (var run = 0; ; run++)
            {
                using var scope = Arena.Current.Scope();
                using var tape = Tape.Record();
                Tensor[] x = [.. samples.Concat(inputs).Select(input => Tensor.From(input.Values, input.Shape).WithGradient())];
                var biasInputs = x[3..];
                var before = GC.GetAllocatedBytesForCurrentThread();
                var bias = kind switch
                {
                    "linear" => ScoreBias.Linear(biasInputs[0]),
                    "buckets-32" => ScoreBias.Buckets(biasInputs[0], 100, false),
                    "relative" => ScoreBias.Relative(biasInputs[0], biasInputs[1]),
                    _ => ScoreBias.Dense(biasInputs[0]),
                };
                tape.Backward(Op.Attention(x[0], x[1], x[2], mask, new AttentionSettings { Bias = bias }), dy);
                var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                if (allocated == 0) break;
                Assert.True(run < 5, $"{kind}: {allocated} bytes were allocated");
            }
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("buckets-32")]
    [InlineData("relative-clamped")]
    public void Memory_grows_with_the_length_and_not_with_its_square(string kind)
    {
        long shorter = 0, longer = 0;
        var worker = new Thread(() => (shorter, longer) = (Capacity(1024), Capacity(2048))); // an arena of its own
        worker.Start();
        worker.Join();
        Assert.InRange(longer, shorter, 2.6 * shorter);

        long Capacity(int length)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var s = new AttentionTests.Sizes(1, length, length, length, 2, 2, 16, 16, "window-7", 0);
            var (x, equation) = (Attended(s), new BiasEquation(s, kind));
            var y = Op.Attention(x[0], x[1], x[2], s.BlockMask(), new AttentionSettings { Bias = equation.Bias(Inputs(equation)) });
            tape.Backward(y, y.Floats);
            return Arena.Current.Capacity;
        }
    }

    [Theory]
    [InlineData(Precision.F32)]
    [InlineData(Precision.BF16)]
    public void A_slope_or_score_that_is_not_a_number_spoils_its_head_whatever_its_bits_and_no_other(Precision precision)
    {
        foreach (var kind in (string[])["linear", "buckets-32"])
        {
            foreach (var queries in (int[])[70, 1])
            {
                var clean = Run(kind, queries, 0);
                foreach (var bits in s_nans)
                {
                    var found = Run(kind, queries, bits);
                    for (var at = 0; at < found.Length; at++)
                    {
                        var isRight = at / 8 % 2 == 1 ? float.IsNaN(found[at]) : found[at] == clean[at];
                        Assert.True(isRight, $"{kind} {bits:X}: output {at} is {found[at]}");
                    }
                }
            }
        }

        float[] Run(string kind, int queries, uint bits)
        {
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(precision);
            var s = new AttentionTests.Sizes(1, queries, 70, 70, 2, 2, 8, 8, "full", 0);
            var equation = new BiasEquation(s, kind);
            var (x, inputs) = (Attended(s), Inputs(equation));
            for (var i = 1; i < inputs[0].Floats.Length && bits != 0; i += 2) // the second head's slope or scores
                inputs[0].Floats[i] = BitConverter.UInt32BitsToSingle(bits);
            return Op.Attention(x[0], x[1], x[2], s.BlockMask(), new AttentionSettings { Bias = equation.Bias(inputs) }).ToArray();
        }
    }

    private static (Shape Shape, float[] Values)[] Samples(AttentionTests.Sizes s) =>
    [
        OperationCheck.Random([s.Batch, s.Queries, s.Heads, s.Width], 1),
        OperationCheck.Random([s.Batch, s.Capacity, s.KeyHeads, s.Width], 2),
        OperationCheck.Random([s.Batch, s.Capacity, s.KeyHeads, s.ValueWidth], 3),
    ];

    private static Tensor[] Attended(AttentionTests.Sizes s) =>
        [.. Samples(s).Select(input => Tensor.From(input.Values, input.Shape).WithGradient())];

    private static Tensor[] Inputs(BiasEquation equation) =>
        [.. equation.Inputs().Select(input => Tensor.From(input.Values, input.Shape).WithGradient())];

    /// <summary>Gradients may be off by twice as much as outputs, those of slopes by more: what is left of the rounding of a score's
    /// gradient is multiplied by the distance.</summary>
    private static void Agree(AttentionTests.Sizes s, string kind, double tolerance = Tolerance)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var equation = new BiasEquation(s, kind);
        var (samples, biasInputs) = (Samples(s), equation.Inputs());
        Tensor[] x = [.. samples.Concat(biasInputs).Select(input => Tensor.From(input.Values, input.Shape).WithGradient())];
        var settings = new AttentionSettings { Bias = equation.Bias(x[3..]), Scale = s.Scale, SoftCap = s.Cap };
        var y = Op.Attention(x[0], x[1], x[2], s.BlockMask(), settings);

        double[][] exactInputs = [.. biasInputs.Select(Exact)];
        var exact = new AttentionTests.Transcription(
            s, [.. samples.Select(Exact), [.. Enumerable.Repeat(-1e4, s.Heads)], equation.Table(exactInputs)]);
        OperationCheck.Compare($"{kind} {s}", exact.Output, y.ToArray(), tolerance);

        var dy = OperationCheck.Random(y.Shape, 6).Values;
        tape.Backward(y, dy);
        var gradients = exact.Gradients(dy);
        double[][] expected = [.. gradients[..3], .. equation.Gradients(exactInputs, gradients[4])];
        for (var which = 0; which < expected.Length; which++)
        {
            var allowed = (which == 3 && kind == "linear" ? 20 : 2) * tolerance;
            OperationCheck.Compare($"{kind} {s} gradient {which}", expected[which], x[which].Gradient.ToArray(), allowed);
        }

        static double[] Exact((Shape Shape, float[] Values) input) => [.. input.Values.Select(value => (double)value)];
    }
}
