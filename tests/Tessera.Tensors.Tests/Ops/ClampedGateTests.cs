using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class ClampedGateTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1.702f, 7)]
    [InlineData(0.5f, 1)] // many are beyond it
    public void A_clamped_gate_agrees_with_its_equation_on_random_shapes(float alpha, float limit)
    {
        using var errors = new Errors(output, $"clamped gate {alpha} {limit}");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.ClampedGate(x[0], x[1], alpha, limit),
                x => [.. x[0].Zip(x[1], (gate, up) => Of(gate, up, alpha, limit))], 4e-6,
                AwayFrom(limit, [rows, width], seed), AwayFrom(limit, [rows, width], seed + 1)));
        });
    }

    [Fact]
    public void A_gate_of_a_tensor_with_itself_collects_both_gradients() => OperationCheck.Run(
        x => Op.ClampedGate(x[0], x[0], 1.702f, 1), x => [.. x[0].Select(value => Of(value, value, 1.702f, 1))], 2e-6,
        AwayFrom(1, [3, 17], 1));

    [Fact]
    public void What_is_beyond_the_limit_counts_as_the_limit_and_has_no_gradient()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var gate = Tensor.From([9f, -9, 1, 1], [4]).WithGradient();
        var up = Tensor.From([1f, 1, 9, -9], [4]).WithGradient();
        var y = Op.ClampedGate(gate, up, 1.702f, 7);
        OperationCheck.Compare(
            "values", [7 / (1 + Math.Exp(-1.702 * 7)) * 2, -9 / (1 + Math.Exp(1.702 * 9)) * 2, 8 / (1 + Math.Exp(-1.702)), -6 / (1 + Math.Exp(-1.702))],
            y.ToArray(), 1e-6);
        tape.Backward(y, [1f, 1, 1, 1]);
        Assert.Equal(0, gate.Gradient[0]);
        Assert.NotEqual(0, gate.Gradient[1]); // there is no lower limit of a gate
        Assert.Equal([0f, 0f], up.Gradient[2..].ToArray());
    }

    [Fact]
    public void NaN_stays_NaN_and_shapes_that_differ_are_named()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From([.. Enumerable.Repeat(float.NaN, 37)], [37]);
        Assert.All(Op.ClampedGate(x, x, 1.702f, 7).ToArray(), value => Assert.True(float.IsNaN(value)));
        var error = Assert.Throws<ShapeException>(() => Op.ClampedGate(Tensor.Temporary([2, 3]), Tensor.Temporary([3, 2]), 1.702f, 7));
        Assert.Equal("clamped gate: up is F32 [3, 2], which does not fit gate, F32 [2, 3]", error.Message);
    }

    private static double Of(double gate, double up, double alpha, double limit)
    {
        var g = Math.Min(gate, limit);
        return g / (1 + Math.Exp(-alpha * g)) * (Math.Clamp(up, -limit, limit) + 1);
    }

    /// <summary>Where the slope does not jump within the step of a difference.</summary>
    private static (Shape Shape, float[] Values) AwayFrom(float limit, Shape shape, int seed)
    {
        var (_, values) = OperationCheck.Random(shape, seed, scale: 2);
        return (shape, [.. values.Select(value => Math.Abs(Math.Abs(value) - limit) < 1e-3f ? value + 3e-3f : value)]);
    }
}
