using FsCheck;
using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Ops;

public class LinearTests
{
    [Fact]
    public void Linear_agrees_with_its_equation_on_random_shapes()
    {
        var sizes = Gen.Choose(1, 9).Three().Select(s => (Rows: s.Item1, Inputs: s.Item2, Outputs: s.Item3));
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(40), Prop.ForAll(sizes.ToArbitrary(), size =>
        {
            var (rows, inputs, outputs) = size;
            OperationCheck.Run(
                x => Op.Linear(x[0], x[1], x[2]),
                x => Equation(x[0], x[1], x[2], rows, inputs, outputs),
                1e-5,
                OperationCheck.Random([rows, inputs], 1), OperationCheck.Random([outputs, inputs], 2), OperationCheck.Random([outputs], 3));
        }));
    }

    [Fact]
    public void A_weight_that_does_not_fit_is_named_with_both_shapes()
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() => Op.Linear(Tensor.Temporary([2, 3]), Tensor.Temporary([4, 5])));
        Assert.Contains("linear: weight is F32 [4, 5], which does not fit x, F32 [2, 3]", error.Message, StringComparison.Ordinal);
    }

    private static double[] Equation(double[] x, double[] weight, double[] bias, int rows, int inputs, int outputs)
    {
        var y = new double[rows * outputs];
        for (var row = 0; row < rows; row++)
            for (var output = 0; output < outputs; output++)
            {
                y[(row * outputs) + output] = bias[output];
                for (var i = 0; i < inputs; i++) y[(row * outputs) + output] += x[(row * inputs) + i] * weight[(output * inputs) + i];
            }

        return y;
    }
}
