using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class SoftmaxTests(ITestOutputHelper output)
{
    [Fact]
    public void Softmax_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "softmax");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.Softmax(x[0]), x => Equation(x[0], width), 1e-6, OperationCheck.Random([rows, width], seed, scale: 3)));
        });
    }

    [Fact]
    public void Softmax_agrees_with_PyTorch()
    {
        using var errors = new Errors(output, "PyTorch softmax");
        errors.Add(new TorchCase("softmax").Check(x => Op.Softmax(x[0]), 1e-6, "x"));
    }

    [Fact]
    public void Scores_of_any_size_do_not_overflow()
    {
        using var scope = Arena.Current.Scope();
        Assert.Equal([0, 1, 0], Op.Softmax(Tensor.From([-1e30f, 1e30f, 0], [3])).ToArray());
        Assert.Equal([0.5f, 0.5f, 0], Op.Softmax(Tensor.From([3, 3, float.NegativeInfinity], [3])).ToArray());
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void NaN_and_infinity_spoil_their_row_and_no_other(float bad)
    {
        using var scope = Arena.Current.Scope();
        for (var place = 0; place < 3; place++)
        {
            float[] values = [1, 2, 3, 1, 2, 3];
            values[place] = bad;
            var y = Op.Softmax(Tensor.From(values, [2, 3])).ToArray();
            Assert.True(float.IsNaN(y[place]));
            Assert.Equal(1, y[3..].Sum(), 1e-6);
        }
    }

    private static double[] Equation(double[] x, int width) =>
        [.. x.Chunk(width).SelectMany(row =>
        {
            var total = row.Sum(Math.Exp);
            return row.Select(value => Math.Exp(value) / total);
        })];
}
