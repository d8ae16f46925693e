using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class ArithmeticTests(ITestOutputHelper output)
{
    [Fact]
    public void Add_multiply_and_scale_agree_with_their_equations_on_random_shapes()
    {
        using var add = new Errors(output, "add");
        using var multiply = new Errors(output, "multiply");
        using var scale = new Errors(output, "scale");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            var (left, right) = (OperationCheck.Random([rows, width], seed), OperationCheck.Random([rows, width], seed + 1));
            add.Add(OperationCheck.Run(x => Op.Add(x[0], x[1]), x => [.. x[0].Zip(x[1], (l, r) => l + r)], 1e-6, left, right));
            multiply.Add(OperationCheck.Run(x => Op.Multiply(x[0], x[1]), x => [.. x[0].Zip(x[1], (l, r) => l * r)], 1e-6, left, right));
            scale.Add(OperationCheck.Run(x => Op.Scale(x[0], -1.7f), x => [.. x[0].Select(value => -1.7f * value)], 1e-6, left));
        });
    }

    [Fact]
    public void A_tensor_used_many_times_collects_all_gradients() => OperationCheck.Run(
        x => Op.Add(Op.Add(x[0], x[0]), Op.Add(Op.Scale(x[0], 3), Op.Scale(x[0], 5))), x => [.. x[0].Select(value => 10 * value)], 1e-6,
        OperationCheck.Random([2, 3], 1));

    [Fact]
    public void A_tensor_times_itself_collects_both_gradients() => OperationCheck.Run(
        x => Op.Multiply(x[0], x[0]), x => [.. x[0].Select(value => value * value)], 1e-6, OperationCheck.Random([2, 3], 1));

    [Fact]
    public void Shapes_must_be_equal()
    {
        using var scope = Arena.Current.Scope();
        var product = Assert.Throws<ShapeException>(() => Op.Multiply(Tensor.Temporary([2, 3]), Tensor.Temporary([3, 2])));
        Assert.Equal("multiply: right is F32 [3, 2], which does not fit left, F32 [2, 3]", product.Message);
        var error = Assert.Throws<ShapeException>(() => Op.Add(Tensor.Temporary([2, 3]), Tensor.Temporary([3])));
        Assert.Equal("add: right is F32 [3], which does not fit left, F32 [2, 3]", error.Message);
    }
}
