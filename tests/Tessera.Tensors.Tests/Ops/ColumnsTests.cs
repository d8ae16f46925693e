using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class ColumnsTests(ITestOutputHelper output)
{
    [Fact]
    public void Columns_agree_with_their_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "columns");
        var sizes = Gen.Elements(0, 1, 3, 41)
            .Zip(Gen.Elements(0, 1, 2, 17), Gen.Elements(0, 1, 5, 16, 33))
            .Zip(Gen.Elements(0, 1, 4))
            .Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((rows, first, count), left), seed) = size;
            var width = first + count + left;
            errors.Add(OperationCheck.Run(
                x => Op.Add(Op.Columns(x[0], first, count), Op.Columns(x[0], first, count)), // gradients add up
                x => [.. Enumerable.Range(0, rows * count).Select(i => 2 * x[0][(i / count * width) + first + (i % count)])],
                1e-6, OperationCheck.Random([rows, width], seed)));
        });
    }

    [Fact]
    public void Join_agrees_with_its_equation_and_repeats_what_heads_share()
    {
        using var errors = new Errors(output, "join");
        var sizes = Gen.Elements(0, 1, 5)
            .Zip(Gen.Elements(1, 2, 7), Gen.Elements(0, 1, 5, 16, 33))
            .Zip(Gen.Elements(0, 1, 4, 17), Gen.Elements(true, false))
            .Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((tokens, heads, a), b, shared), seed) = size;
            var others = shared ? 1 : heads;
            errors.Add(OperationCheck.Run(
                x => Op.Join(x[0], x[1]),
                x => [.. Enumerable.Range(0, tokens * heads).SelectMany(row =>
                    x[0].Skip(row * a).Take(a).Concat(x[1].Skip((shared ? row / heads : row) * b).Take(b)))],
                1e-6, OperationCheck.Random([tokens, heads, a], seed), OperationCheck.Random([tokens, others, b], seed + 1)));
        });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_matrix_for_each_head_agrees_with_its_equation(bool transposed)
    {
        var sizes = Gen.Elements(0, 1, 3, 20)
            .Zip(Gen.Elements(1, 2, 5), Gen.Elements(1, 7, 33))
            .Zip(Gen.Elements(1, 4, 17), Gen.Elements(0, 3))
            .Zip(Samples.Seed);
        Samples.ForAll(sizes, size =>
        {
            var (((tokens, heads, inputs), count, first), seed) = size;
            using var scope = Arena.Current.Scope();
            var rows = first + count + 2;
            var (_, x) = OperationCheck.Random([tokens, heads, transposed ? inputs : count], seed);
            var (_, w) = OperationCheck.Random([heads * rows, inputs], seed + 1);
            var y = Op.HeadLinear(
                Tensor.From(x, [tokens, heads, transposed ? inputs : count]), Tensor.From(w, [heads * rows, inputs]), first, count,
                transposed);
            var outputs = transposed ? count : inputs;
            var expected = new double[tokens * heads * outputs];
            for (var i = 0; i < expected.Length; i++)
            {
                var (row, column) = (i / outputs, i % outputs);
                var matrix = (((row % heads) * rows) + first) * inputs;
                for (var k = 0; k < (transposed ? inputs : count); k++)
                    expected[i] +=
                        (double)x[(row * (transposed ? inputs : count)) + k]
                        * w[matrix + (transposed ? (column * inputs) + k : (k * inputs) + column)];
            }

            OperationCheck.Compare("value", expected, y.ToArray(), 3e-6);
        });
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_both_shapes()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.Temporary([2, 3, 4]);
        Assert.Throws<ShapeException>(() => Op.Columns(x, 3, 2));
        Assert.Throws<ShapeException>(() => Op.Columns(x, -1, 2));
        Assert.Throws<ShapeException>(() => Op.Columns(x, int.MaxValue, 2));
        Assert.Throws<ShapeException>(() => Op.Join(x, Tensor.Temporary([2, 2, 4])));
        Assert.Throws<ShapeException>(() => Op.Join(x, Tensor.Temporary([1, 3, 4])));
        Assert.Throws<ShapeException>(() => Op.HeadLinear(x, Tensor.Temporary([7, 4]), 0, 4, transposed: false));
        Assert.Throws<ShapeException>(() => Op.HeadLinear(x, Tensor.Temporary([9, 4]), 0, 4, transposed: false));
        Assert.Throws<ShapeException>(() => Op.HeadLinear(x, Tensor.Temporary([9, 5]), 0, 3, transposed: true));
        using var tape = Tape.Record();
        Assert.Throws<InvalidOperationException>(() => Op.HeadLinear(x.WithGradient(), Tensor.Temporary([12, 5]), 0, 4, transposed: false));
    }
}
