using FsCheck;
using FsCheck.Fluent;
using Tessera.Nn;
using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace OwnMixer.Tests;

/// <summary>The mixer alone, against its equation.</summary>
public sealed class MinGruTests
{
    [Fact]
    public void Outputs_and_gradients_are_those_of_the_equation() => ForAll((random, rows, length) =>
    {
        var (width, hidden) = (random.Next(1, 4), random.Next(1, 4));
        var mixer = Build(width, hidden, (ulong)random.Next());
        foreach (ref var bias in Bias(mixer)) bias = random.NextSingle() - 0.5f;
        var x = Tensor.From(Numbers(random, rows * length * width), [rows, length, width]).WithGradient();
        int[] classes = [.. Enumerable.Range(0, rows * length).Select(_ => random.Next(width))];

        using var tape = Tape.Record();
        var y = mixer.Forward(x, Whole(rows, length)).Reshape([rows * length, width]);
        var (equation, numbers) = (new MinGruEquation(width, hidden), MinGruEquation.Numbers(mixer, x.ToArray()));
        for (var row = 0; row < rows; row++)
            Near(equation.Outputs(numbers, row * length, length), y.Floats.Slice(row * length * width, length * width), 1e-5);

        tape.Backward(Op.CrossEntropy(y, Tensor.From(classes, [rows * length])));
        Near(equation.Slopes(numbers, "x", rows, length, classes), x.Gradient, 1e-4);
        foreach (var (name, parameter) in mixer.Parameters())
            Near(equation.Slopes(numbers, name, rows, length, classes), parameter.Value.Gradient, 1e-4);
    });

    [Fact]
    public void Packed_segments_do_not_see_one_another() => ForAll((random, rows, length) =>
    {
        const int Width = 3, Hidden = 2;
        var mixer = Build(Width, Hidden, (ulong)random.Next());
        var x = Tensor.From(Numbers(random, rows * length * Width), [rows, length, Width]);
        var (segments, firsts, segment) = (new int[rows * length], new List<int>(), -1);
        for (var token = 0; token < segments.Length; token++)
        {
            if (token % length == 0 || random.Next(3) == 0)
            {
                firsts.Add(token);
                segment = token % length == 0 ? 0 : segment + 1;
            }

            segments[token] = segment;
        }

        var context = Whole(rows, length);
        context.Segments = Tensor.From(segments, [rows, length]);
        var y = mixer.Forward(x, context);
        var (equation, numbers) = (new MinGruEquation(Width, Hidden), MinGruEquation.Numbers(mixer, x.ToArray()));
        for (var index = 0; index < firsts.Count; index++)
        {
            var (first, end) = (firsts[index], index + 1 < firsts.Count ? firsts[index + 1] : segments.Length);
            Near(equation.Outputs(numbers, first, end - first), y.Floats[(first * Width)..(end * Width)], 1e-5);
        }
    });

    [Theory]
    [InlineData(
        MixerRole.Bidirectional, 3, "own.kind: is min-gru; allowed: another, such as multi-head, in an encoder and for cross-attention")]
    [InlineData(MixerRole.Cross, 3, "own.kind: is min-gru; allowed: another, such as multi-head, in an encoder and for cross-attention")]
    [InlineData(MixerRole.Causal, 0, "own.hidden: is 0; allowed: 1 to 1048576")]
    public void What_it_cannot_do_is_said_in_one_line(MixerRole role, int hidden, string message)
    {
        var part = new PartBuilder(4, "own", new CounterRandom(1));
        var error = Assert.Throws<RecipeException>(() => new MinGruOptions(hidden).Build(part, role));
        Assert.Equal(message, error.Message);
    }

    private static Mixer Build(int width, int hidden, ulong seed) =>
        new MinGruOptions(hidden).Build(new PartBuilder(width, "own", new CounterRandom(seed)), MixerRole.Causal);

    private static Span<float> Bias(Mixer mixer) => mixer.Parameters().Single(own => own.Name == "z_proj.bias").Parameter.Value.Floats;

    private static ForwardContext Whole(int rows, int length) => ForwardContext.At(Tessera.Models.Batch.PositionsFromStart(rows, length));

    private static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextSingle()) - 1)];

    private static void ForAll(Action<Random, int, int> holds) => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(30),
        Prop.ForAll(Gen.Choose(0, int.MaxValue - 1).ToArbitrary(), seed =>
        {
            using var scope = Arena.Current.Scope();
            var random = new Random(seed);
            holds(random, random.Next(1, 4), random.Next(1, 20));
        }));

    private static void Near(double[] expected, ReadOnlySpan<float> found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        for (var index = 0; index < expected.Length; index++) Assert.Equal(expected[index], found[index], tolerance);
    }
}
