using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class NormalizeRowsTests(ITestOutputHelper output)
{
    [Fact]
    public void NormalizeRows_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "normalize rows");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.NormalizeRows(x[0]), x => [.. x[0].Chunk(width).SelectMany(row => row.Select(value => value / row.Sum()))], 3e-6,
                Positive([rows, width], seed)));
        });
    }

    [Theory]
    [InlineData(3, 5)]
    [InlineData(700, 67)]
    public void It_is_a_selection_of_everyone_bit_for_bit(int rows, int width)
    {
        var (shape, values) = Positive([rows, width], 1);
        var everyone = Enumerable.Range(0, rows * width).Select(i => i % width).ToArray();
        var (selected, its) = Run(x => Op.Select(x, Tensor.From(everyone, shape), normalise: true));
        var (normalized, own) = Run(Op.NormalizeRows);
        Assert.Equal(selected, normalized);
        Assert.Equal(its, own);

        (float[] Values, float[] Gradient) Run(Func<Tensor, Tensor> operation)
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var x = Tensor.From(values, shape).WithGradient();
            var y = operation(x);
            tape.Backward(y, OperationCheck.Random(shape, 2).Values);
            return (y.ToArray(), x.Gradient.ToArray());
        }
    }

    [Fact]
    public void A_scalar_has_no_rows()
    {
        using var scope = Arena.Current.Scope();
        Assert.Throws<ShapeException>(() => Op.NormalizeRows(Tensor.Temporary([])));
    }

    private static (Shape Shape, float[] Values) Positive(Shape shape, int seed) =>
        (shape, [.. OperationCheck.Random(shape, seed).Values.Select(value => Math.Abs(value) + 0.1f)]);
}
