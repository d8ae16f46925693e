using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class ActivationTests(ITestOutputHelper output)
{
    public static TheoryData<Activation, double> Tolerances => new()
    {
        // The slope of GELU's tanh is 1 − tanh² in single precision, times x and a polynomial of it.
        { Activation.Silu, 1e-6 }, { Activation.Gelu, 1e-6 }, { Activation.GeluTanh, 5e-6 }, { Activation.Relu, 1e-6 },
        { Activation.ReluSquared, 1e-6 }, { Activation.Sigmoid, 1e-6 }, { Activation.Tanh, 1e-6 },
    };

    [Theory]
    [MemberData(nameof(Tolerances))]
    public void Activate_agrees_with_its_equation_on_random_shapes(Activation activation, double tolerance)
    {
        using var errors = new Errors(output, $"activate {activation}");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.Activate(x[0], activation), x => [.. x[0].Select(value => Of(activation, value))], tolerance,
                Samples.AwayFromZero([rows, width], seed, scale: 2)));
        });
    }

    [Theory]
    [MemberData(nameof(Tolerances))]
    public void Gate_agrees_with_its_equation_on_random_shapes(Activation activation, double tolerance)
    {
        using var errors = new Errors(output, $"gate {activation}");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.Gate(x[0], x[1], activation),
                x => [.. x[0].Zip(x[1], (gate, up) => Of(activation, gate) * up)], 4 * tolerance, // up and what comes in multiply it
                Samples.AwayFromZero([rows, width], seed, scale: 2), OperationCheck.Random([rows, width], seed + 1)));
        });
    }

    [Theory]
    [MemberData(nameof(Tolerances))]
    public void Values_far_from_zero_are_right_as_well(Activation activation, double tolerance)
    {
        float[] values =
        [
            -200, -90, -88, -60, -30, -12, -9, -6, -5, -4, -3, -2, -1, -0.5f, 0.5f, 1, 2, 3, 4, 5, 6, 9, 12, 30, 60, 88, 90, 200];
        OperationCheck.Run(
            x => Op.Activate(x[0], activation), x => [.. x[0].Select(value => Of(activation, value))], tolerance,
            ([values.Length], values));
        foreach (var value in values) // one by one, so that the error is relative to this value and not to the largest
            OperationCheck.Run(x => Op.Activate(x[0], activation), x => [Of(activation, x[0][0])], tolerance, ([1], [value]));
    }

    [Theory]
    [MemberData(nameof(Tolerances))]
    public void Many_elements_in_many_parts_are_each_right(Activation activation, double tolerance)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        const int Count = 40_007;
        var (shape, values) = Samples.AwayFromZero([Count], 5, scale: 2);
        var (_, upstream) = OperationCheck.Random([Count], 6);
        var x = Tensor.From(values, shape).WithGradient();
        var y = Op.Activate(x, activation);
        OperationCheck.Compare("value", [.. values.Select(value => Of(activation, value))], y.ToArray(), tolerance);
        tape.Backward(y, upstream);
        OperationCheck.Compare(
            "gradient", [.. values.Zip(upstream, (value, up) => up * Slope(activation, value))], x.Gradient.ToArray(), 3 * tolerance);
    }

    [Theory]
    [InlineData("gelu", Activation.Gelu)]
    [InlineData("gelu_tanh", Activation.GeluTanh)]
    [InlineData("silu", Activation.Silu)]
    [InlineData("relu", Activation.Relu)]
    [InlineData("relu_squared", Activation.ReluSquared)]
    [InlineData("sigmoid", Activation.Sigmoid)]
    [InlineData("tanh", Activation.Tanh)]
    public void Activations_agree_with_PyTorch(string name, Activation activation)
    {
        using var errors = new Errors(output, $"PyTorch {name}");
        errors.Add(new TorchCase(name).Check(x => Op.Activate(x[0], activation), 1e-6, "x"));
    }

    [Theory]
    [InlineData("swiglu", Activation.Silu)]
    [InlineData("geglu", Activation.Gelu)]
    [InlineData("reglu", Activation.Relu)]
    public void Gates_agree_with_PyTorch(string name, Activation activation)
    {
        using var errors = new Errors(output, $"PyTorch {name}");
        errors.Add(new TorchCase(name).Check(x => Op.Gate(x[0], x[1], activation), 1e-6, "gate", "up"));
    }

    [Fact]
    public void A_gate_of_a_tensor_with_itself_collects_both_gradients() => OperationCheck.Run(
        x => Op.Gate(x[0], x[0], Activation.Silu), x => [.. x[0].Select(value => Of(Activation.Silu, value) * value)], 1e-6,
        OperationCheck.Random([3, 17], 1));

    [Theory]
    [MemberData(nameof(Tolerances))]
    public void NaN_stays_NaN_forward_and_backward(Activation activation, double tolerance)
    {
        Assert.True(tolerance > 0);
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var values = new float[37]; // whole vectors of each width and a tail
        Array.Fill(values, float.NaN);
        var x = Tensor.From(values, [37]).WithGradient();
        var y = Op.Activate(x, activation);
        Assert.All(y.ToArray(), value => Assert.True(float.IsNaN(value)));
        tape.Backward(y, new float[37].Select(_ => 1f).ToArray());
        Assert.All(x.Gradient.ToArray(), value => Assert.True(float.IsNaN(value)));
    }

    [Theory]
    [InlineData(Activation.Silu, float.PositiveInfinity)]
    [InlineData(Activation.Gelu, float.PositiveInfinity)]
    [InlineData(Activation.GeluTanh, float.PositiveInfinity)]
    [InlineData(Activation.Relu, float.PositiveInfinity)]
    [InlineData(Activation.ReluSquared, float.PositiveInfinity)]
    [InlineData(Activation.Sigmoid, 1)]
    [InlineData(Activation.Tanh, 1)]
    public void Infinity_gives_the_limit(Activation activation, float limit)
    {
        using var scope = Arena.Current.Scope();
        var values = new float[37];
        Array.Fill(values, float.PositiveInfinity);
        Assert.All(Op.Activate(Tensor.From(values, [37]), activation).ToArray(), value => Assert.Equal(limit, value));
    }

    [Fact]
    public void A_shape_that_does_not_fit_and_an_unknown_activation_are_named()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From(new float[6], [2, 3]);
        var error = Assert.Throws<ShapeException>(() => Op.Gate(x, Tensor.Temporary([3, 2]), Activation.Silu));
        Assert.Equal("gate: up is F32 [3, 2], which does not fit gate, F32 [2, 3]", error.Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => Op.Activate(x, (Activation)99));
    }

    private static double Of(Activation activation, double x) => activation switch
    {
        Activation.Silu => x / (1 + Math.Exp(-x)),
        Activation.Gelu => x * 0.5 * (1 + ErrorFunction(x / Math.Sqrt(2))),
        Activation.GeluTanh => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        Activation.Relu => x > 0 ? x : 0,
        Activation.ReluSquared => x > 0 ? x * x : 0,
        Activation.Sigmoid => 1 / (1 + Math.Exp(-x)),
        Activation.Tanh => Math.Tanh(x),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    private static double Slope(Activation activation, double x) => (Of(activation, x + 1e-5) - Of(activation, x - 1e-5)) / 2e-5;

    /// <summary>2/√π e^(−x²) Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!, whose terms all have one sign.</summary>
    internal static double ErrorFunction(double x)
    {
        if (Math.Abs(x) > 6) return Math.Sign(x);
        double term = x, sum = x;
        for (var n = 1; Math.Abs(term) > 1e-18 * Math.Abs(sum); n++)
        {
            term *= 2 * x * x / ((2 * n) + 1);
            sum += term;
        }

        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }
}
