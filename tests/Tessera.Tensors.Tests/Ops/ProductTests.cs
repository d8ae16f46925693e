using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class ProductTests(ITestOutputHelper output)
{
    [Fact]
    public void Product_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "product");
        var sizes = Gen.Elements(1, 2, 7, 33).Zip(Gen.Elements(1, 3, 17), Gen.Elements(1, 5, 16, 40)).Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var ((rows, inputs, outputs), seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.Product(x[0], x[1]), x => Equation(x[0], x[1], rows, inputs, outputs), 1e-5,
                OperationCheck.Random([rows, inputs], seed), OperationCheck.Random([inputs, outputs], seed + 1)));
        });
    }

    [Fact]
    public void Products_are_added_in_place_to_one_matrix_or_to_each_of_several()
    {
        var sizes = Gen.Elements(0, 1, 3).Zip(Gen.Elements(1, 2, 7, 33), Gen.Elements(1, 3, 17)).Zip(Gen.Elements(1, 5, 16, 40))
            .Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((groups, rows, inputs), outputs), seed) = size;
            using var scope = Arena.Current.Scope();
            var count = Math.Max(groups, 1);
            var (y, x, weight) = (Random(rows, outputs, 0), Random(rows, inputs, 1), Random(inputs, outputs, 2));
            var expected = y.ToArray().Select(value => (double)value).ToArray();
            for (var group = 0; group < count; group++)
            {
                var product = Equation(Part(x, rows * inputs, group), Part(weight, inputs * outputs, group), rows, inputs, outputs);
                for (var i = 0; i < product.Length; i++) expected[(group * product.Length) + i] += product[i];
            }

            Op.AddProduct(y, x, weight);
            OperationCheck.Compare("sum", expected, y.ToArray(), 1e-5);

            // No groups stand for one matrix that is none of several.
            Tensor Random(int down, int across, int offset) => Tensor.From(
                OperationCheck.Random([count, down, across], seed + offset).Values,
                groups == 0 ? new Shape(down, across) : new Shape(count, down, across));
        });
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_both_shapes()
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => Op.Product(Tensor.Temporary([2, 3]), Tensor.Temporary([4, 3])));
        Assert.Contains("product: weight is F32 [4, 3], which does not fit x, F32 [2, 3]", error.Message, StringComparison.Ordinal);
        Assert.Throws<ShapeException>(() => Op.AddProduct(Tensor.Temporary([2, 4]), Tensor.Temporary([3, 3]), Tensor.Temporary([3, 4])));
        Assert.Throws<ShapeException>(() => Op.AddProduct(Tensor.Temporary([2, 4]), Tensor.Temporary([2, 3]), Tensor.Temporary([4, 3])));
        Assert.Throws<ShapeException>(() =>
            Op.AddProduct(Tensor.Temporary([5, 2, 4]), Tensor.Temporary([5, 2, 3]), Tensor.Temporary([3, 4])));
        Assert.Throws<ShapeException>(() => Op.AddProduct(Tensor.Temporary([4]), Tensor.Temporary([3]), Tensor.Temporary([3, 4])));
        using var tape = Tape.Record();
        var wanted = Tensor.Temporary([2, 3]).WithGradient();
        Assert.Throws<InvalidOperationException>(() => Op.AddProduct(Tensor.Temporary([2, 4]), wanted, Tensor.Temporary([3, 4])));
    }

    private static double[] Part(Tensor tensor, int size, int group) =>
        [.. tensor.ToArray().Skip(group * size).Take(size).Select(value => (double)value)];

    private static double[] Equation(double[] x, double[] weight, int rows, int inputs, int outputs)
    {
        var y = new double[rows * outputs];
        for (var i = 0; i < y.Length; i++)
            for (var k = 0; k < inputs; k++) y[i] += x[(i / outputs * inputs) + k] * weight[(k * outputs) + (i % outputs)];
        return y;
    }
}
