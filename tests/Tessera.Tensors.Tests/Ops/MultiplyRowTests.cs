using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class MultiplyRowTests(ITestOutputHelper output)
{
    [Fact]
    public void MultiplyRow_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "multiply row");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.MultiplyRow(x[0], x[1]), x => [.. x[0].Select((value, i) => value * x[1][i % width])], 1e-6,
                OperationCheck.Random([rows, 1, width], seed), OperationCheck.Random([width], seed + 1)));
        });
    }

    [Fact]
    public void Many_rows_are_multiplied_by_one_bit_for_bit()
    {
        using var scope = Arena.Current.Scope();
        var (x, row) = (OperationCheck.Random([999, 37], 1).Values, OperationCheck.Random([37], 2).Values);
        Assert.Equal(x.Select((value, i) => value * row[i % 37]), Op.MultiplyRow(Tensor.From(x, [999, 37]), Tensor.From(row, [37])).ToArray());
    }

    [Fact]
    public void A_row_multiplied_by_itself_collects_both_gradients() => OperationCheck.Run(
        x => Op.MultiplyRow(x[0], x[0]), x => [.. x[0].Select(value => value * value)], 1e-6, OperationCheck.Random([7], 1));

    [Fact]
    public void A_row_of_another_width_is_refused()
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => Op.MultiplyRow(Tensor.Temporary([2, 3]), Tensor.Temporary([2])));
        Assert.Equal("multiply row: row is F32 [2], which does not fit x, F32 [2, 3]", error.Message);
        Assert.Throws<ShapeException>(() => Op.MultiplyRow(Tensor.Temporary([2, 3]), Tensor.Temporary([1, 3])));
        Assert.Throws<ShapeException>(() => Op.MultiplyRow(Tensor.Temporary([]), Tensor.Temporary([1])));
    }
}
