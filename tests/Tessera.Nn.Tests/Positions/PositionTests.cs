using System.Text.Json.Nodes;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Nn.Tests;

public sealed class PositionTests
{
    [SharedFact("fixtures/parts/sinusoidal")]
    public void Sinusoids_are_those_of_the_reference()
    {
        using var scope = Arena.Current.Scope();
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/sinusoidal")!, "expected.safetensors"));
        foreach (var (width, length) in new[] { (16, 40), (10, 24) })
        {
            var part = new SinusoidalOptions(length).Build(PartCheck.Builder(width));
            var added = part.Embed(Tensor.From(new float[length * width], [1, length, width]), PartCheck.Step(1, length));
            PartCheck.Compare($"width {width}", reference.Floats($"interleaved.{width}"), added.ToArray(), 1e-6);
        }
    }

    [Theory]
    [InlineData("default", 8, 100)]
    [InlineData("default_500k", 8)]
    [InlineData("linear", 100)]
    [InlineData("dynamic", 32, 64, 65, 200)]
    [InlineData("yarn", 100)]
    [InlineData("yarn_4096", 60)]
    [InlineData("yarn_4096_no_truncate", 60)]
    [InlineData("yarn_mscale", 100)]
    [InlineData("yarn_mscale_equal", 16)]
    [InlineData("yarn_attention_factor", 16)]
    [InlineData("yarn_no_truncate", 100)]
    [InlineData("llama3", 100)]
    [InlineData("longrope", 60, 100)]
    [InlineData("longrope_factor", 60, 100)]
    public void Rotary_angles_are_those_of_the_reference_under_every_scaling(string name, params int[] lengths)
    {
        using var scope = Arena.Current.Scope();
        const int Width = 16;
        var reference = new ReferenceTensors(Fixture.Local("parts/rope/expected.safetensors"));
        var json = JsonNode.Parse(File.ReadAllText(Fixture.Local("parts/rope/case.json")))!["options"]![name]!;
        var part = new RotaryOptions((float)json["rope_theta"]!, Positions: 4096) { Scaling = Scaling(json) }.Build(
            PartCheck.Builder(Width));
        foreach (var length in lengths.Concat(lengths.Reverse()))
        {
            var (cosines, sines) = (reference.Floats($"{name}.{length}.cos"), reference.Floats($"{name}.{length}.sin"));

            // A vector of ones in the first half shows the cosine there and the sine in the second half.
            var ones = new float[length * Width];
            for (var i = 0; i < ones.Length; i++) ones[i] = i % Width < Width / 2 ? 1 : 0;
            var turned = part.Mark(Tensor.From(ones, [1, length, 1, Width]), PartCheck.Step(1, length)).ToArray();
            for (var i = 0; i < ones.Length; i++)
                Assert.Equal(i % Width < Width / 2 ? cosines[i] : sines[i], turned[i], 2e-5);
        }
    }

    [Fact]
    public void Only_the_given_width_of_a_head_is_turned()
    {
        using var scope = Arena.Current.Scope();
        var part = new RotaryOptions(100) { Width = 4 }.Build(PartCheck.Builder(6));
        var whole = new RotaryOptions(100).Build(PartCheck.Builder(4));
        var x = PartCheck.Normal(18, 1);
        var turned = part.Mark(Tensor.From(x, [1, 3, 1, 6]), PartCheck.Step(1, 3)).ToArray();
        for (var token = 0; token < 3; token++)
        {
            Assert.Equal(x[((token * 6) + 4)..((token * 6) + 6)], turned[((token * 6) + 4)..((token * 6) + 6)]);
            var four = new float[12];
            x.AsSpan(token * 6, 4).CopyTo(four.AsSpan(token * 4));
            Assert.Equal(
                whole.Mark(Tensor.From(four, [1, 3, 1, 4]), PartCheck.Step(1, 3)).ToArray()[(token * 4)..((token * 4) + 4)],
                turned[(token * 6)..((token * 6) + 4)]);
        }
    }

    [Fact]
    public void Learned_positions_are_rows_of_a_table_and_get_their_gradients()
    {
        using var scope = Arena.Current.Scope();
        var part = new LearnedOptions(5).Build(PartCheck.Builder(3));
        var table = part.OwnParameters.Single().Parameter.Value;
        var step = PartCheck.Step(2, 4);
        using var tape = Tape.Record();
        var added = part.Embed(Tensor.From(new float[24], [2, 4, 3]), step);
        Assert.Equal([.. table.ToArray()[..12], .. table.ToArray()[..12]], added.ToArray());
        tape.Backward(added, Enumerable.Repeat(1f, 24).ToArray());
        Assert.Equal([.. Enumerable.Repeat(2f, 12), 0, 0, 0], table.Gradient.ToArray());
    }

    private static RotaryScaling? Scaling(JsonNode json)
    {
        var factor = (double?)json["factor"] ?? 1;
        var trained = (int?)json["original_max_position_embeddings"] ?? (int)json["max_position_embeddings"]!;
        return (string)json["rope_type"]! switch
        {
            "linear" => new LinearScaling(factor),
            "dynamic" => new DynamicScaling(factor, trained),
            "llama3" => new Llama3Scaling(factor, trained, (double)json["low_freq_factor"]!, (double)json["high_freq_factor"]!),
            "yarn" => new YarnScaling(factor, trained)
            {
                AttentionFactor = (double?)json["attention_factor"],
                Mscale = (double?)json["mscale"],
                MscaleAllDim = (double?)json["mscale_all_dim"],
                Truncate = (bool?)json["truncate"] ?? true,
            },
            "longrope" => new LongScaling(trained, Numbers("short_factor"), Numbers("long_factor"))
            {
                Factor = (double?)json["factor"] ?? (double)json["max_position_embeddings"]! / trained,
                AttentionFactor = (double?)json["attention_factor"],
            },
            _ => null,
        };

        List<double> Numbers(string key) => [.. json[key]!.AsArray().Select(number => (double)number!)];
    }

    [Theory]
    [InlineData(17)]
    [InlineData(400)]
    [InlineData(1000)]
    public void The_last_token_of_a_sequence_longer_than_those_of_training_is_turned_as_within_it(int length)
    {
        using var scope = Arena.Current.Scope();
        var part = new RotaryOptions { Scaling = new DynamicScaling(2, 16) }.Build(PartCheck.Builder(8));
        var x = PartCheck.Normal(length * 8, 1);
        var whole = part.Mark(Tensor.From(x, [1, length, 1, 8]), PartCheck.Step(1, length)).ToArray();
        Assert.Equal(whole[^8..], Last(x[^8..], length - 1));
        if (length > 17)
            Assert.NotEqual(
                whole[^8..],
                new RotaryOptions()
                    .Build(PartCheck.Builder(8))
                    .Mark(Tensor.From(x, [1, length, 1, 8]), PartCheck.Step(1, length))
                    .ToArray()[^8..]);

        float[] Last(float[] x, int position) =>
            part.Mark(Tensor.From(x, [1, 1, 1, 8]), new ForwardContext { Positions = PartCheck.Ints([1, 1], position) }).ToArray();
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("dynamic")]
    [InlineData("long")]
    public void Decoding_a_prepared_length_allocates_nothing_token_by_token(string scaling)
    {
        var part = new RotaryOptions
        {
            Scaling = scaling switch { "dynamic" => new DynamicScaling(2, 64), "long" => new LongScaling(64, [1, 1], [2, 3]), _ => null },
        }.Build(PartCheck.Builder(4));
        var (x, positions) = (Tensor.Allocate([1, 1, 1, 4]), Tensor.Allocate([1, 1], ElementType.I32));
        var step = new ForwardContext { Positions = positions };
        part.Prepare(3000);
        Mark(0);
        Mark(2998);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var position = scaling == "dynamic" ? 128 : 1; position < 3000; position++) // sequences of both sides of the trained length take turns
        {
            Mark(position);
            Mark(position % 64);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Mark(int position)
        {
            using var scope = Arena.Current.Scope();
            positions.Ints[0] = position;
            step.Positions = positions;
            part.Mark(x, step);
        }
    }

    [Fact]
    public void A_position_before_the_first_is_refused_whatever_the_scaling()
    {
        using var scope = Arena.Current.Scope();
        foreach (var scaling in new RotaryScaling?[] { null, new DynamicScaling(2, 16) })
        {
            var part = new RotaryOptions { Scaling = scaling }.Build(PartCheck.Builder(4));
            var step = new ForwardContext { Positions = PartCheck.Ints([2, 1], -1, 500) };
            Assert.Contains(
                "-1", Assert.Throws<ShapeException>(() => part.Mark(Tensor.Temporary([2, 1, 1, 4]), step)).Message,
                StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(RotaryLayout.Halves)]
    [InlineData(RotaryLayout.Interleaved)]
    public void The_product_of_a_query_and_a_key_depends_on_their_distance_alone(RotaryLayout layout)
    {
        using var scope = Arena.Current.Scope();
        var part = new RotaryOptions(100, layout, 64).Build(PartCheck.Builder(8));
        var (query, key) = (PartCheck.Normal(8, 1), PartCheck.Normal(8, 2));
        Assert.Equal(Product(5, 3), Product(41, 39), 1e-5);
        Assert.Equal(Product(0, 7), Product(50, 57), 1e-5);
        Assert.True(Math.Abs(Product(5, 3) - Product(5, 4)) > 1e-3);

        float Product(int at, int other) => Turn(query, at).Zip(Turn(key, other), (q, k) => q * k).Sum();
        float[] Turn(float[] x, int position) =>
            part.Mark(Tensor.From(x, [1, 1, 1, 8]), new ForwardContext { Positions = PartCheck.Ints([1, 1], position) }).ToArray();
    }

    [Fact]
    public void An_encoding_acts_at_one_place_only()
    {
        using var scope = Arena.Current.Scope();
        var (rotary, sinusoidal) = (new RotaryOptions().Build(PartCheck.Builder(4)), new SinusoidalOptions().Build(PartCheck.Builder(4)));
        var (embeddings, queries) = (Tensor.Temporary([1, 2, 4]), Tensor.Temporary([1, 2, 1, 4]));
        Assert.False(rotary.ActsOnEmbeddings);
        Assert.True(sinusoidal.ActsOnEmbeddings);
        Assert.Same(embeddings, rotary.Embed(embeddings, PartCheck.Step(1, 2)));
        Assert.Same(queries, sinusoidal.Mark(queries, PartCheck.Step(1, 2)));
    }

    [Fact]
    public void Impossible_options_are_named()
    {
        Expect("model.theta: is 1; allowed: greater than 1", new RotaryOptions(Theta: 1), 4);
        Expect("model.positions: is 0; allowed: 1 to 16777216", new RotaryOptions(Positions: 0), 4);
        Expect("model.positions: is 2000000000; allowed: 1 to 1048576", new SinusoidalOptions(2_000_000_000), 4);
        Expect(
            "model.scaling.betaSlow: is 0; allowed: above 0", new RotaryOptions { Scaling = new YarnScaling(2, 16) { BetaSlow = 0 } }, 4);
        Expect(
            "model.scaling.betaFast: is -1; allowed: above 0", new RotaryOptions { Scaling = new YarnScaling(2, 16) { BetaFast = -1 } }, 4);
        Expect(
            "model.scaling.shortFactors[1]: is 0; allowed: above 0", new RotaryOptions { Scaling = new LongScaling(16, [1, 0], [1, 1]) },
            4);
        Expect(
            "model.scaling.longFactors[0]: is -2; allowed: above 0", new RotaryOptions { Scaling = new LongScaling(16, [1, 1], [-2, 1]) },
            4);
        Expect("model.width: is 5; allowed: an even number up to the width of a head, 5", new RotaryOptions(), 5);

        static void Expect(string message, PositionOptions options, int width) =>
            Assert.Equal(message, Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(width))).Message);
    }
}
