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

    [SharedFact("fixtures/parts/rope")]
    public void Rotary_angles_are_those_of_the_reference()
    {
        using var scope = Arena.Current.Scope();
        const int Width = 16, Length = 100;
        var reference = new ReferenceTensors(Path.Combine(Fixture.Shared("fixtures/parts/rope")!, "expected.safetensors"));
        var (cosines, sines) = (reference.Floats($"default.{Length}.cos"), reference.Floats($"default.{Length}.sin"));
        var part = new RotaryOptions(Positions: Length).Build(PartCheck.Builder(Width));

        // A vector of ones in the first half shows the cosine there and the sine in the second half.
        var ones = new float[Length * Width];
        for (var i = 0; i < ones.Length; i++) ones[i] = i % Width < Width / 2 ? 1 : 0;
        var turned = part.Mark(Tensor.From(ones, [1, Length, 1, Width]), PartCheck.Step(1, Length)).ToArray();
        for (var i = 0; i < ones.Length; i++)
            Assert.Equal(i % Width < Width / 2 ? cosines[i] : sines[i], turned[i], 5e-6);
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
            part.Mark(Tensor.From(x, [1, 1, 1, 8]), new Step { Positions = PartCheck.Ints([1, 1], position) }).ToArray();
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
        Expect("model.positions: is 0; allowed: 1 to 1048576", new RotaryOptions(Positions: 0), 4);
        Expect("model.positions: is 2000000000; allowed: 1 to 1048576", new SinusoidalOptions(2_000_000_000), 4);
        Expect("model.width: is 5; allowed: an even width of a head", new RotaryOptions(), 5);

        static void Expect(string message, PositionOptions options, int width) =>
            Assert.Equal(message, Assert.Throws<RecipeException>(() => options.Build(PartCheck.Builder(width))).Message);
    }
}
