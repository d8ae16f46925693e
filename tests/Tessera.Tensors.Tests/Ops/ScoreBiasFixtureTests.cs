using Tessera.Testing;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>Score biases against what transformers computes.</summary>
public class ScoreBiasFixtureTests
{
    [SharedFact("fixtures/parts/t5_buckets")]
    public void Every_pair_has_the_score_of_the_bucket_that_transformers_gives_it()
    {
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/t5_buckets")!, "expected.safetensors"));
        Assert.Equal(Enumerable.Range(-300, 601), reference.Ints("relative_position"));
        foreach (var (buckets, maxDistance) in ((int, int)[])[(32, 128), (8, 12), (16, 64), (12, 30), (64, 512)])
        {
            foreach (var both in (bool[])[true, false])
            {
                // With values that are unit vectors the output is the softmax of the biases; the first query stands at 300 of 601.
                using var scope = Arena.Current.Scope();
                var (q, k, v) = (Tensor.Temporary([1, 301, 1, 1]), Tensor.Temporary([1, 601, 1, 1]), Tensor.Temporary([1, 601, 1, 601]));
                foreach (var tensor in (Tensor[])[q, k, v]) tensor.Floats.Clear();
                for (var key = 0; key < 601; key++) v.Floats[(key * 601) + key] = 1;
                var table = Tensor.Temporary([buckets, 1]);
                for (var bucket = 0; bucket < buckets; bucket++) table.Floats[bucket] = 6f * bucket / buckets;

                var bias = ScoreBias.Buckets(table, maxDistance, both);
                var found = Op.Attention(q, k, v, BlockMask.Full(301, 601), new AttentionSettings { Bias = bias }).ToArray()[..601];
                var expected = reference.Ints($"buckets.{buckets}.{maxDistance}.{(both ? "both" : "causal")}");
                var sum = expected.Sum(bucket => Math.Exp(6f * bucket / buckets));
                for (var key = 0; key < 601; key++)
                    Assert.Equal(6.0 * expected[key] / buckets, Math.Log(found[key] * sum), 1e-4);
            }
        }
    }

    [SharedFact("fixtures/families/transfo_xl")]
    public void Layers_of_Transformer_XL_with_memory_are_those_of_transformers()
    {
        for (var layer = 0; layer < 2; layer++) AgreeOnLayer(layer);
    }

    private static void AgreeOnLayer(int layer)
    {
        var folder = Fixture.Shared("fixtures/families/transfo_xl")!;
        var weights = new ReferenceTensors(Path.Combine(folder, "model.safetensors"));
        var expected = new ReferenceTensors(Path.Combine(folder, "expected.safetensors"));
        using var scope = Arena.Current.Scope();
        Tensor Weight(string name)
        {
            var whole = $"transformer.layers.{layer}.{name}";
            return Tensor.From(weights.Floats(whole), new Shape(weights.Shape(whole)));
        }

        const int Rows = 2, Memory = 7, Length = 12, Keys = Memory + Length, Width = 32, Heads = 4, HeadWidth = Width / Heads;

        // Memory before the hidden states; transformers has the first axes of memory the other way round.
        var (memory, hidden) = (expected.Floats($"given.mems.{layer}"), expected.Floats($"hidden.{layer}"));
        var seen = Tensor.Temporary([Rows, Keys, Width]);
        for (var row = 0; row < Rows; row++)
        {
            for (var key = 0; key < Keys; key++)
            {
                var (from, at) = key < Memory ? (memory, (key * Rows) + row) : (hidden, (row * Length) + key - Memory);
                from.AsSpan(at * Width, Width).CopyTo(seen.Floats[(((row * Keys) + key) * Width)..]);
            }
        }

        var x = Tensor.From(hidden, [Rows, Length, Width]);
        var projected = Op.Linear(seen, Weight("dec_attn.qkv_net.weight"));
        var (content, position) = (Tensor.Temporary([Rows, Length, Heads, HeadWidth]), Tensor.Temporary([Rows, Length, Heads, HeadWidth]));
        for (var i = 0; i < content.Floats.Length; i++)
        {
            var (row, query, at) = (i / Width / Length, i / Width % Length, i % Width);
            var q = projected.Floats[(((row * Keys) + Memory + query) * 3 * Width) + at];
            content.Floats[i] = q + Weight("dec_attn.r_w_bias").Floats[at];
            position.Floats[i] = q + Weight("dec_attn.r_r_bias").Floats[at];
        }

        var sinusoids = Tensor.Temporary([Keys, Width]);
        for (var i = 0; i < sinusoids.Floats.Length; i++)
        {
            var angle = i / Width / Math.Pow(10000, 2.0 * (i % (Width / 2)) / Width);
            sinusoids.Floats[i] = (float)(i % Width < Width / 2 ? Math.Sin(angle) : Math.Cos(angle));
        }

        var positionKeys = Op.Linear(sinusoids, Weight("dec_attn.r_net.weight")).Reshape([Keys, Heads, HeadWidth]);
        var attended = Op.Attention(
            content, Op.Columns(projected, Width, Width).Reshape([Rows, Keys, Heads, HeadWidth]),
            Op.Columns(projected, 2 * Width, Width).Reshape([Rows, Keys, Heads, HeadWidth]), BlockMask.Causal(Length, Keys),
            new AttentionSettings { Bias = ScoreBias.Relative(position, positionKeys) });
        var y = Op.Add(x, Op.Linear(attended.Reshape([Rows, Length, Width]), Weight("dec_attn.o_net.weight")));
        y = Op.LayerNorm(y, Weight("dec_attn.layer_norm.weight"), Weight("dec_attn.layer_norm.bias"), 1e-5f);
        var inner = Op.Activate(Op.Linear(y, Weight("pos_ff.CoreNet.0.weight"), Weight("pos_ff.CoreNet.0.bias")), Activation.Relu);
        y = Op.Add(y, Op.Linear(inner, Weight("pos_ff.CoreNet.3.weight"), Weight("pos_ff.CoreNet.3.bias")));
        y = Op.LayerNorm(y, Weight("pos_ff.layer_norm.weight"), Weight("pos_ff.layer_norm.bias"), 1e-5f);
        OperationCheck.Compare(
            "hidden states", [.. expected.Floats($"hidden.{layer + 1}").Select(value => (double)value)], y.ToArray(), 4.5e-5);
    }
}
