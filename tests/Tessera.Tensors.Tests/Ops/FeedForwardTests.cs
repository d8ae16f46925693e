using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class FeedForwardTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void It_agrees_with_its_equation_on_random_shapes(bool isGated, bool hasBiases)
    {
        using var errors = new Errors(output, $"feed-forward, gated: {isGated}, biases: {hasBiases}");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed).Zip(Samples.MaxSide), size =>
        {
            var ((rows, hidden, seed), width) = size;
            (Shape, float[])[] inputs =
            [
                OperationCheck.Random([rows, width], seed), OperationCheck.Random([hidden, width], seed + 1),
                OperationCheck.Random([hidden, width], seed + 2), OperationCheck.Random([width, hidden], seed + 3),
                OperationCheck.Random([hidden], seed + 4), OperationCheck.Random([hidden], seed + 5), OperationCheck.Random([width], seed + 6),
            ];
            if (!hasBiases) inputs = inputs[..4];
            errors.Add(OperationCheck.Run(
                x => Op.FeedForward(
                    x[0], isGated ? Map(x, 1, 4) : null, Map(x, 2, 5), Map(x, 3, 6), Activation.Silu),
                x => Equation(x, isGated, width, hidden), 2e-5, inputs));
        });
    }

    [Theory]
    [InlineData(Activation.Silu, Precision.F32, 2e-6)]
    [InlineData(Activation.Gelu, Precision.F32, 2e-6)]
    [InlineData(Activation.GeluTanh, Precision.F32, 2e-6)]
    [InlineData(Activation.Relu, Precision.F32, 2e-6)]
    [InlineData(Activation.ReluSquared, Precision.F32, 2e-6)]
    [InlineData(Activation.Sigmoid, Precision.F32, 2e-6)]
    [InlineData(Activation.Tanh, Precision.F32, 2e-6)]
    [InlineData(Activation.Silu, Precision.BF16, 1e-2)]
    [InlineData(Activation.Silu, Precision.F16, 2e-3)]
    public void Many_rows_in_many_parts_are_as_of_its_operations_one_by_one(Activation activation, Precision precision, double tolerance)
    {
        const int Rows = 301, Width = 83, Hidden = 437;
        foreach (var isGated in new[] { true, false })
        {
            var fused = Run(x => Op.FeedForward(x[0], isGated ? Map(x, 1, 4) : null, Map(x, 2, 5), Map(x, 3, 6), activation));
            var apart = Run(x =>
            {
                var up = Op.Linear(x[0], x[2], x[5]);
                return Op.Linear(
                    isGated ? Op.Gate(Op.Linear(x[0], x[1], x[4]), up, activation) : Op.Activate(up, activation), x[3], x[6]);
            });
            for (var i = 0; i < fused.Length; i++)
                OperationCheck.Compare($"gated: {isGated}, {i}", [.. apart[i].Select(value => (double)value)], fused[i], tolerance);
        }

        float[][] Run(Func<Tensor[], Tensor> operation)
        {
            using var scope = Arena.Current.Scope();
            using var precise = Autocast.Enter(precision);
            using var tape = Tape.Record();
            Shape[] shapes = [[Rows, Width], [Hidden, Width], [Hidden, Width], [Width, Hidden], [Hidden], [Hidden], [Width]];
            Tensor[] x = [.. shapes.Select((shape, i) => Parameter(shape, i))];
            var y = operation(x);
            var value = y.ToArray();
            tape.Backward(y, OperationCheck.Random(y.Shape, 9).Values);
            return [value, .. x.Select(one => one.Gradient.ToArray())];
        }
    }

    [Fact]
    public void A_row_of_NaN_or_infinity_spoils_its_own_results_alone()
    {
        using var scope = Arena.Current.Scope();
        foreach (var bad in new[] { float.NaN, float.PositiveInfinity })
        {
            var (shape, values) = OperationCheck.Random([5, 19], 1);
            values[(2 * 19) + 7] = bad;
            var x = Tensor.From(values, shape);
            var y = Op.FeedForward(x, Map([33, 19], 2), Map([33, 19], 3), Map([19, 33], 4), Activation.Silu).ToArray();
            for (var i = 0; i < y.Length; i++) Assert.Equal(i / 19 == 2, !float.IsFinite(y[i]));
        }
    }

    [Fact]
    public void A_map_that_does_not_fit_is_named()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.Temporary([2, 3]);
        var message = Assert.Throws<ShapeException>(
            () => Op.FeedForward(x, Map([6, 3], 1), Map([5, 3], 2), Map([3, 5], 3), Activation.Silu)).Message;
        Assert.Contains("feed-forward: gate is F32 [6, 3]", message, StringComparison.Ordinal);
        message = Assert.Throws<ShapeException>(() => Op.FeedForward(x, null, Map([5, 3], 2), Map([3, 4], 3), Activation.Silu)).Message;
        Assert.Contains("feed-forward: down is F32 [3, 4]", message, StringComparison.Ordinal);
    }

    private static LinearMap Map(Tensor[] x, int weight, int bias) => new(x[weight], bias < x.Length ? x[bias] : null);

    private static LinearMap Map(Shape shape, int seed) => new(Parameter(shape, seed));

    private static Tensor Parameter(Shape shape, int seed)
    {
        var parameter = Tensor.AllocateParameter(shape);
        OperationCheck.Random(shape, seed, scale: shape.Rank == 2 && seed > 0 ? 0.1 : 1).Values.CopyTo(parameter.Floats);
        return parameter;
    }

    private static double[] Equation(double[][] x, bool isGated, int width, int hidden)
    {
        var up = Linear(x[0], x[2], Bias(5), width, hidden);
        double[] layer = isGated
            ? [.. Linear(x[0], x[1], Bias(4), width, hidden).Zip(up, (gate, other) => Silu(gate) * other)]
            : [.. up.Select(Silu)];
        return Linear(layer, x[3], Bias(6), hidden, width);

        double[]? Bias(int index) => index < x.Length ? x[index] : null;

        static double Silu(double value) => value / (1 + Math.Exp(-value));
    }

    private static double[] Linear(double[] x, double[] weight, double[]? bias, int inputs, int outputs)
    {
        var rows = x.Length / inputs;
        var y = new double[rows * outputs];
        for (var i = 0; i < y.Length; i++)
        {
            var (row, column) = (i / outputs, i % outputs);
            y[i] = bias is null ? 0 : bias[column];
            for (var k = 0; k < inputs; k++) y[i] += x[(row * inputs) + k] * weight[(column * inputs) + k];
        }

        return y;
    }
}
