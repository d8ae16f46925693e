using FsCheck;
using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Ops;

public class AttentionTests
{
    private const double Tolerance = 5e-6;

    internal static readonly string[] MaskNames =
        ["full", "causal", "window-7", "window-both-5", "dilated-6x3", "global-4-window-5", "strided-8", "chunked-16", "prefix-10",
         "chosen-5x1", "chosen-64x1", "chosen-100x8", "chosen-or-window"];

    [Fact]
    public void Attention_and_its_gradient_agree_with_the_equation_on_random_shapes_and_masks()
    {
        var cases =
            from batch in Gen.Choose(1, 2)
            from keyHeads in Gen.Choose(1, 2)
            from queries in Gen.Choose(1, 9)
            from keys in Gen.Choose(1, 9)
            from widths in Gen.Choose(1, 5).Two()
            from mask in Gen.Elements(MaskNames)
            from shared in Gen.Choose(1, 2)
            from cap in Gen.Elements(0f, 2f)
            select new Sizes(batch, queries, keys, keys, keyHeads * shared, keyHeads, widths.Item1, widths.Item2, mask, cap);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(40), Prop.ForAll(cases.ToArbitrary(), size => AgreeWithDifferences(size)));
    }

    [Theory]
    [InlineData(63, 63, 16, 16)]
    [InlineData(64, 64, 16, 20)]
    [InlineData(65, 65, 17, 16)]
    [InlineData(127, 129, 8, 8)]
    [InlineData(200, 130, 33, 3)]
    [InlineData(3, 200, 40, 70)]
    [InlineData(1, 65, 64, 64)]
    [InlineData(1, 1030, 24, 40)] // decoding, the keys cut into ranges
    [InlineData(3, 600, 40, 24)]
    public void Lengths_around_the_tile_size_agree_with_the_equation(int queries, int keys, int width, int valueWidth)
    {
        foreach (var mask in MaskNames)
            AgreeWithTranscription(new Sizes(2, queries, keys, keys + 3, 4, 2, width, valueWidth, mask, 0));
        AgreeWithTranscription(new Sizes(1, queries, keys, keys, 3, 3, width, valueWidth, "causal", 1.5f));
        AgreeWithTranscription(new Sizes(2, queries, keys, keys, 4, 2, width, valueWidth, "causal", 0, Plain: true));
        AgreeWithTranscription(new Sizes(1, queries, keys, keys, 3, 1, width, valueWidth, "causal", 0, Plain: true)); // fewer key heads than threads
    }

    [Fact]
    public void A_query_that_sees_no_key_gets_zeros_and_gives_zero_gradients()
    {
        using var scope = Arena.Current.Scope();
        foreach (var queries in new[] { 4, 70 })
        {
            using var tape = Tape.Record();
            var shape = new Shape(1, queries, 2, 8);
            var (q, k, v) = (Random(shape, 1), Random(shape, 2), Random(shape, 3));
            var y = Op.Attention(q, k, v, BlockMask.Causal(queries, queries).Prefix(0));
            tape.Backward(y, Enumerable.Repeat(1f, (int)shape.Count).ToArray());
            Assert.All(y.ToArray(), value => Assert.Equal(0, value));
            foreach (var input in new[] { q, k, v }) Assert.All(input.Gradient.ToArray(), value => Assert.Equal(0, value));
        }
    }

    [Fact]
    public void Very_large_scores_neither_overflow_nor_become_NaN()
    {
        using var scope = Arena.Current.Scope();
        var (q, k, v) = (Random([1, 40, 1, 16], 1, 300), Random([1, 40, 1, 16], 2, 300), Random([1, 40, 1, 16], 3));
        Assert.All(Op.Attention(q, k, v, BlockMask.Causal(40, 40)).ToArray(), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void The_same_inputs_give_the_same_bits_every_time()
    {
        foreach (var (batch, heads) in new[] { (1, 1), (2, 4) })
        {
            var first = Bits(batch, heads);
            for (var run = 0; run < 3; run++) Assert.Equal(first, Bits(batch, heads));
        }
    }

    internal static float[] Bits(int batch, int heads)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var shape = new Shape(batch, 300, heads, 32);
        var (q, k, v) = (Random(shape, 1), Random(shape, 2), Random(shape, 3));
        var y = Op.Attention(q, k, v, BlockMask.Causal(300, 300));
        tape.Backward(y, Random(shape, 4).Floats);
        return [.. y.ToArray(), .. q.Gradient, .. k.Gradient, .. v.Gradient];
    }

    [Fact]
    public void Memory_grows_with_the_length_and_not_with_its_square()
    {
        long shorter = 0, longer = 0;
        var worker = new Thread(() => (shorter, longer) = (Capacity(4096), Capacity(8192))); // an arena of its own
        worker.Start();
        worker.Join();
        Assert.InRange(longer, shorter, 2.6 * shorter);

        static long Capacity(int length)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var shape = new Shape(1, length, 2, 16);
            var (q, k, v) = (Random(shape, 1), Random(shape, 2), Random(shape, 3));
            var y = Op.Attention(q, k, v, BlockMask.Causal(length, length).Within(100));
            tape.Backward(y, y.Floats);
            return Arena.Current.Capacity;
        }
    }

    [Theory]
    [InlineData(Precision.F32, 100)]
    [InlineData(Precision.BF16, 100)]
    [InlineData(Precision.F32, 1)]
    public void Nothing_managed_is_allocated_by_a_step_that_has_been_seen_before(Precision precision, int queries)
    {
        var chosen = Tensor.From(new int[queries * 2], [1, 1, queries, 2]);
        var masks = new[] { BlockMask.Causal(queries, 600), BlockMask.Causal(queries, 600).Blocks(chosen, 64) };
        using var autocast = Autocast.Enter(precision);
        foreach (var mask in masks)
        {
            for (var run = 0; ; run++)
            {
                using var scope = Arena.Current.Scope();
                using var tape = Tape.Record();
                var (q, k, v) = (Random([2, queries, 2, 16], 1), Random([2, 600, 2, 16], 2), Random([2, 600, 2, 16], 3));
                var dy = Random(q.Shape, 4).ToArray();
                var before = GC.GetAllocatedBytesForCurrentThread();
                tape.Backward(Op.Attention(q, k, v, mask), dy);
                var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
                if (allocated == 0) break;
                Assert.True(run < 5, $"{allocated} bytes were allocated");
            }
        }
    }

    [Theory]
    [InlineData(1, ElementType.BF16)]
    [InlineData(1, ElementType.F16)]
    [InlineData(70, ElementType.BF16)]
    [InlineData(70, ElementType.F16)]
    public void A_cache_of_fewer_bits_gives_what_its_numbers_give_in_F32(int queries, ElementType type)
    {
        using var scope = Arena.Current.Scope();
        var (q, k, v) = (Random([2, queries, 4, 37], 1), Op.Convert(Random([2, 300, 2, 37], 2), type), Op.Convert(Random([2, 300, 2, 21], 3), type));
        var mask = BlockMask.Causal(queries, 280);
        foreach (var precision in new[] { Precision.F32, Precision.BF16 })
        {
            using var autocast = Autocast.Enter(precision);
            var expected = Op.Attention(q, Op.Convert(k, ElementType.F32), Op.Convert(v, ElementType.F32), mask);
            var found = Op.Attention(q, k, v, mask);
            OperationCheck.Compare($"{type} {precision}", [.. expected.ToArray().Select(value => (double)value)], found.ToArray(), 1e-6);
        }
    }

    [Fact]
    public void A_mask_that_does_not_fit_is_named_with_its_sizes()
    {
        using var scope = Arena.Current.Scope();
        var q = Random([2, 5, 4, 8], 1);
        var error = Assert.Throws<ShapeException>(() => Op.Attention(q, q, q, BlockMask.Causal(5, 6)));
        Assert.Contains("mask has 5 queries, 6 keys", error.Message, StringComparison.Ordinal);
        var other = Assert.Throws<ShapeException>(() => Op.Attention(q, Random([2, 5, 3, 8], 2), q, BlockMask.Causal(5, 5)));
        Assert.Contains("attention: keys is F32 [2, 5, 3, 8]", other.Message, StringComparison.Ordinal);
    }

    internal static Tensor Random(Shape shape, int seed, double scale = 1) =>
        Tensor.From(OperationCheck.Random(shape, seed, scale).Values, shape).WithGradient();

    private static (Shape Shape, float[] Values)[] Inputs(Sizes s) =>
    [
        OperationCheck.Random([s.Batch, s.Queries, s.Heads, s.Width], 1),
        OperationCheck.Random([s.Batch, s.Capacity, s.KeyHeads, s.Width], 2),
        OperationCheck.Random([s.Batch, s.Capacity, s.KeyHeads, s.ValueWidth], 3),
        OperationCheck.Random([s.Heads], 4, s.Plain ? 0 : 1, s.Plain ? -1e4 : 0), // a sink that takes nothing
        OperationCheck.Random([s.Heads, s.Queries, s.Keys], 5, s.Plain ? 0 : 1),
    ];

    private static Tensor Run(Sizes s, Tensor[] x, Tensor? entropy = null)
    {
        var settings = new AttentionSettings
        {
            Entropy = entropy, SoftCap = s.Cap, Sinks = s.Plain ? null : x[3], Bias = s.Plain ? null : ScoreBias.Dense(x[4]), Scale = s.Scale,
        };
        return Op.Attention(x[0], x[1], x[2], s.BlockMask(), settings);
    }

    private static void AgreeWithDifferences(Sizes s) =>
        OperationCheck.Run(x => Run(s, x), x => new Transcription(s, x).Output, Tolerance, Inputs(s));

    private static void AgreeWithTranscription(Sizes s) => AgreeWithTranscription(s, Tolerance, value => value);

    /// <summary>Compares with the equation for queries (times scale), keys, values and upstream gradients rounded by <paramref name="round"/>;
    /// gradients may be off by twice as much as outputs.</summary>
    internal static void AgreeWithTranscription(Sizes s, double tolerance, Func<double, double> round)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var inputs = Inputs(s);
        var tensors = inputs.Select(input => Tensor.From(input.Values, input.Shape).WithGradient()).ToArray();
        var entropy = Tensor.Temporary([s.Batch, s.Heads, s.Queries]);
        var y = Run(s, tensors, entropy);
        double[] Rounded(int input, double factor) => [.. inputs[input].Values.Select(value => round(value * factor) / factor)];
        double[] Exact(int input) => [.. inputs[input].Values.Select(value => (double)value)];
        var exact = new Transcription(s, [Rounded(0, s.Scale * 1.44269504f), Rounded(1, 1), Rounded(2, 1), Exact(3), Exact(4)]);
        OperationCheck.Compare($"{s}", exact.Output, y.ToArray(), tolerance);
        OperationCheck.Compare($"{s} entropy", exact.Entropy, entropy.ToArray(), tolerance);

        var dy = OperationCheck.Random(y.Shape, 6).Values;
        tape.Backward(y, dy);
        var gradients = exact.Gradients([.. dy.Select(value => (float)round(value))]);
        for (var which = 0; which < (s.Plain ? 3 : 5); which++)
            OperationCheck.Compare($"{s} gradient {which}", gradients[which], tensors[which].Gradient.ToArray(), 2 * tolerance);
    }

    internal sealed record Sizes(
        int Batch, int Queries, int Keys, int Capacity, int Heads, int KeyHeads, int Width, int ValueWidth, string Mask, float Cap, bool Plain = false)
    {
        public float Scale => 1 / MathF.Sqrt(Width);

        public BlockMask BlockMask()
        {
            var causal = Tensors.BlockMask.Causal(Queries, Keys);
            return Mask switch
            {
                "chosen-5x1" => causal.Blocks(Chosen(5, 1, Heads), 5),
                "chosen-64x1" => causal.Blocks(Chosen(64, 1, Heads), 64),
                "chosen-100x8" => Tensors.BlockMask.Full(Queries, Keys).Blocks(Chosen(100, 8, 1), 100, 8),
                "cached-rows" => Tensors.BlockMask.Causal(Queries, Keys, Lengths),
                "cached-rows-window-7" => Tensors.BlockMask.Causal(Queries, Keys, Lengths).Within(7),
                "cached-rows-per-head" => Tensors.BlockMask.PerHead([.. Enumerable.Range(0, Heads).Select(head =>
                    Tensors.BlockMask.Causal(Queries, Keys, Lengths) is var cached && head % 2 == 0 ? cached : cached.Within(9))]),
                "chosen-or-window" => causal.Within(5).Or(causal.Blocks(Chosen(16, 1, 1), 16)),
                _ => AttentionFixtureTests.Mask(Mask, Batch, Queries, Keys),
            };
        }

        /// <summary>The position of a query among the keys: they stand at the end of what their batch row has.</summary>
        public int Position(int batch, int query) =>
            query - Queries + (Mask.StartsWith("cached", StringComparison.Ordinal) ? Lengths[batch] : Keys);

        private int[] Lengths => [.. Enumerable.Range(0, Batch).Select(batch => Math.Max(0, Keys - (3 * batch) - (Keys / 3)))];

        /// <summary>Two blocks for each list of queries, drawn at random; some lists have only one, or none.</summary>
        private Tensor Chosen(int size, int queriesEach, int heads)
        {
            var (lists, blocks) = ((Queries + queriesEach - 1) / queriesEach, (Keys + size - 1) / size);
            var random = new CounterRandom(9);
            var chosen = Enumerable.Range(0, Batch * heads * lists * 2).Select(i => random.Below(blocks + 1, (ulong)i) - 1);
            return Tensor.From(chosen.ToArray(), [Batch, heads, lists, 2]);
        }
    }

    /// <summary>Attention as its equation says, in double precision, with the gradients written out.</summary>
    internal sealed class Transcription
    {
        private readonly Sizes _s;
        private readonly double[] _q, _k, _v;
        private readonly int _biasRows;
        private readonly double[,,,] _probability, _slope;

        /// <param name="s">Sizes, mask, scale and cap.</param>
        /// <param name="x">Queries, keys, values, sinks and bias [heads, queries, keys], or one for each batch row.</param>
        public Transcription(Sizes s, double[][] x)
        {
            (_s, _q, _k, _v, _biasRows) = (s, x[0], x[1], x[2], x[4].Length / (s.Heads * s.Queries * s.Keys));
            _probability = new double[s.Batch, s.Heads, s.Queries, s.Keys + 1]; // the last is the sink's
            _slope = new double[s.Batch, s.Heads, s.Queries, s.Keys];
            Output = new double[s.Batch * s.Queries * s.Heads * s.ValueWidth];
            Entropy = new double[s.Batch * s.Heads * s.Queries];
            var mask = s.BlockMask();
            ForEach((b, h, i) => Row(mask, x[3][h], x[4], b, h, i));
        }

        public double[] Output { get; }

        /// <summary>Of the probabilities of keys and sink.</summary>
        public double[] Entropy { get; }

        public double[][] Gradients(float[] dy)
        {
            var s = _s;
            double[] dq = new double[_q.Length], dk = new double[_k.Length], dv = new double[_v.Length];
            double[] dSinks = new double[s.Heads], dBias = new double[_biasRows * s.Heads * s.Queries * s.Keys];
            ForEach((b, h, i) =>
            {
                var flow = 0.0;
                for (var e = 0; e < s.ValueWidth; e++) flow += Output[Query(b, h, i, s.ValueWidth) + e] * dy[Query(b, h, i, s.ValueWidth) + e];
                dSinks[h] -= _probability[b, h, i, s.Keys] * flow;
                for (var j = 0; j < s.Keys; j++)
                {
                    var p = _probability[b, h, i, j];
                    var dp = 0.0;
                    for (var e = 0; e < s.ValueWidth; e++)
                    {
                        var upstream = dy[Query(b, h, i, s.ValueWidth) + e];
                        dp += _v[Key(b, h, j, s.ValueWidth) + e] * upstream;
                        dv[Key(b, h, j, s.ValueWidth) + e] += p * upstream;
                    }

                    var ds = p * (dp - flow);
                    dBias[Pair(b, h, i, j)] += ds;
                    for (var d = 0; d < s.Width; d++)
                    {
                        dq[Query(b, h, i, s.Width) + d] += ds * _slope[b, h, i, j] * s.Scale * _k[Key(b, h, j, s.Width) + d];
                        dk[Key(b, h, j, s.Width) + d] += ds * _slope[b, h, i, j] * s.Scale * _q[Query(b, h, i, s.Width) + d];
                    }
                }
            });
            return [dq, dk, dv, dSinks, dBias];
        }

        private void Row(BlockMask mask, double sink, double[] bias, int b, int h, int i)
        {
            var scores = new double[_s.Keys + 1];
            for (var j = 0; j < _s.Keys; j++)
            {
                var product = 0.0;
                for (var d = 0; d < _s.Width; d++) product += _q[Query(b, h, i, _s.Width) + d] * _k[Key(b, h, j, _s.Width) + d];
                var capped = _s.Cap > 0 ? _s.Cap * Math.Tanh(_s.Scale * product / _s.Cap) : _s.Scale * product;
                _slope[b, h, i, j] = _s.Cap > 0 ? 1 - (capped / _s.Cap * (capped / _s.Cap)) : 1;
                scores[j] = mask.Allows(b, h, i, j) ? capped + bias[Pair(b, h, i, j)] : double.NegativeInfinity;
            }

            scores[_s.Keys] = sink;
            var greatest = scores.Max();
            var sum = scores.Sum(score => Math.Exp(score - greatest));
            for (var j = 0; j <= _s.Keys; j++)
            {
                var p = _probability[b, h, i, j] = Math.Exp(scores[j] - greatest) / sum;
                if (p > 0) Entropy[(((b * _s.Heads) + h) * _s.Queries) + i] -= p * Math.Log(p);
                if (j == _s.Keys) continue;
                for (var e = 0; e < _s.ValueWidth; e++) Output[Query(b, h, i, _s.ValueWidth) + e] += p * _v[Key(b, h, j, _s.ValueWidth) + e];
            }
        }

        private int Pair(int b, int h, int i, int j) => (((((b % _biasRows * _s.Heads) + h) * _s.Queries) + i) * _s.Keys) + j;

        private int Query(int b, int h, int i, int width) => ((((b * _s.Queries) + i) * _s.Heads) + h) * width;

        private int Key(int b, int h, int j, int width) => ((((b * _s.Capacity) + j) * _s.KeyHeads) + (h * _s.KeyHeads / _s.Heads)) * width;

        private void ForEach(Action<int, int, int> body)
        {
            for (var b = 0; b < _s.Batch; b++)
                for (var h = 0; h < _s.Heads; h++)
                    for (var i = 0; i < _s.Queries; i++) body(b, h, i);
        }
    }
}
