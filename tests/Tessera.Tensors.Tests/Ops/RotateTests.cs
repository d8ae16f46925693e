using FsCheck.Fluent;
using Tessera.Testing;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class RotateTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(RotaryLayout.Halves)]
    [InlineData(RotaryLayout.Interleaved)]
    public void Rotate_agrees_with_its_equation_on_random_shapes(RotaryLayout layout)
    {
        using var errors = new Errors(output, $"rotate {layout}");
        var sizes = Gen.Elements(0, 1, 2)
            .Zip(Samples.MaxSide, Gen.Choose(1, 3))
            .Zip(Gen.Elements(1, 2, 5, 7, 8, 15, 16, 17), Gen.Elements(0, 1, 4))
            .Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((batch, length, heads), pairs, left), seed) = size;
            var width = (2 * pairs) + left;
            var positions = Samples.Below(20, batch * length, seed);
            errors.Add(OperationCheck.Run(
                x => Rotate(x[0], positions, pairs, layout), x => Equation(x[0], positions, heads, width, pairs, layout), 2e-6,
                OperationCheck.Random([batch, length, heads, width], seed)));
        });
    }

    [Theory]
    [InlineData(RotaryLayout.Halves)]
    [InlineData(RotaryLayout.Interleaved)]
    public void Many_tokens_in_many_parts_are_each_right_and_turn_back(RotaryLayout layout)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (batch, length, heads, width, pairs) = (3, 41, 4, 70, 33);
        var (shape, values) = OperationCheck.Random([batch, length, heads, width], 1);
        var positions = Samples.Below(20, batch * length, 1);
        var x = Tensor.From(values, shape).WithGradient();
        var y = Rotate(x, positions, pairs, layout);
        OperationCheck.Compare(
            "value", Equation([.. values.Select(value => (double)value)], positions, heads, width, pairs, layout), y.ToArray(), 2e-6);

        tape.Backward(y, y.ToArray()); // the gradient of a rotation is the rotation back
        OperationCheck.Compare("gradient", [.. values.Select(value => (double)value)], x.Gradient.ToArray(), 2e-6);
    }

    [Fact]
    public void Gradients_add_to_those_already_there()
    {
        var positions = new[] { 3, 1 };
        OperationCheck.Run(
            x => Op.Add(Rotate(x[0], positions, 17, RotaryLayout.Halves), Rotate(x[0], positions, 17, RotaryLayout.Interleaved)),
            x => [.. Equation(x[0], positions, 1, 37, 17, RotaryLayout.Halves)
                .Zip(Equation(x[0], positions, 1, 37, 17, RotaryLayout.Interleaved), (left, right) => left + right)],
            2e-6, OperationCheck.Random([1, 2, 1, 37], 1));
    }

    [SharedFact("fixtures/parts/rope")]
    public void With_the_tables_of_transformers_the_dot_product_depends_on_the_distance_only()
    {
        using var scope = Arena.Current.Scope();
        var tables = new ReferenceTensors(Fixture.Shared("fixtures/parts/rope/expected.safetensors")!);
        Tensor Table(string name)
        {
            var both = tables.Floats($"default.100.{name}"); // the frequencies twice
            return Tensor.From([.. Enumerable.Range(0, 100 * 8).Select(i => both[(i / 8 * 16) + (i % 8)])], [100, 8]);
        }

        var (cosines, sines) = (Table("cos"), Table("sin"));
        var (query, key) = (OperationCheck.Random([16], 1).Values, OperationCheck.Random([16], 2).Values);
        double Score(int at, int against, RotaryLayout layout)
        {
            var q = Op.Rotate(Tensor.From(query, [1, 1, 1, 16]), Tensor.From([at], [1, 1]), cosines, sines, layout).ToArray();
            var k = Op.Rotate(Tensor.From(key, [1, 1, 1, 16]), Tensor.From([against], [1, 1]), cosines, sines, layout).ToArray();
            return q.Zip(k, (left, right) => (double)left * right).Sum();
        }

        foreach (var layout in Enum.GetValues<RotaryLayout>())
        {
            Assert.Equal(Score(0, 7, layout), Score(90, 97, layout), 4);
            Assert.Equal(Score(5, 5, layout), query.Zip(key, (left, right) => (double)left * right).Sum(), 4);
        }
    }

    [Fact]
    public void Positions_beyond_the_tables_and_shapes_that_do_not_fit_are_named()
    {
        using var scope = Arena.Current.Scope();
        var (x, table) = (Tensor.Allocate([1, 2, 1, 6]), Tensor.Allocate([5, 3]));
        Tensor Turn(Tensor what, Tensor positions, Tensor cosines, Tensor sines) =>
            Op.Rotate(what, positions, cosines, sines, RotaryLayout.Halves);
        Assert.Equal(
            "rotate: position 5 is beyond the tables' 5 positions",
            Assert.Throws<ShapeException>(() => Turn(x, Tensor.From([0, 5], [1, 2]), table, table)).Message);
        Assert.Throws<ShapeException>(() => Turn(x, Tensor.From([0, -1], [1, 2]), table, table));
        Assert.Throws<ShapeException>(() => Turn(x, Tensor.From([0], [1, 1]), table, table));
        Assert.Throws<ShapeException>(() => Turn(x, Tensor.From([0, 1], [1, 2]), Tensor.Allocate([5, 4]), Tensor.Allocate([5, 4])));
        Assert.Throws<ShapeException>(() => Turn(x, Tensor.From([0, 1], [1, 2]), table, Tensor.Allocate([4, 3])));
        Assert.Throws<ShapeException>(() => Turn(Tensor.Allocate([2, 1, 6]), Tensor.From([0, 1], [1, 2]), table, table));
    }

    private static double Angle(int position, int pair, int pairs) => position * Math.Pow(10000, -(double)pair / pairs);

    private static Tensor Rotate(Tensor x, int[] positions, int pairs, RotaryLayout layout)
    {
        Tensor Table(Func<double, double> of) =>
            Tensor.From([.. Enumerable.Range(0, 20 * pairs).Select(i => (float)of(Angle(i / pairs, i % pairs, pairs)))], [20, pairs]);
        return Op.Rotate(x, Tensor.From(positions, [x.Shape[0], x.Shape[1]]), Table(Math.Cos), Table(Math.Sin), layout);
    }

    private static double[] Equation(double[] x, int[] positions, int heads, int width, int pairs, RotaryLayout layout)
    {
        var y = (double[])x.Clone();
        for (var token = 0; token < positions.Length; token++)
            for (var head = 0; head < heads; head++)
                for (var pair = 0; pair < pairs; pair++)
                {
                    var start = ((token * heads) + head) * width;
                    var (first, second) = layout == RotaryLayout.Halves
                        ? (start + pair, start + pair + pairs)
                        : (start + (2 * pair), start + (2 * pair) + 1);
                    var turned = new System.Numerics.Complex(x[first], x[second])
                        * System.Numerics.Complex.FromPolarCoordinates(1, Angle(positions[token], pair, pairs));
                    (y[first], y[second]) = (turned.Real, turned.Imaginary);
                }

        return y;
    }
}
