using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class NormTests(ITestOutputHelper output)
{
    [Fact]
    public void RmsNorm_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "rms norm");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                x => Op.RmsNorm(x[0], x[1], 0.01f), x => Equation(x[0], x[1], null, 0.01f, centred: false), 4e-6,
                OperationCheck.Random([rows, width], seed), OperationCheck.Random([width], seed + 1)));
        });
    }

    [Fact]
    public void LayerNorm_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "layer norm");
        Samples.ForAll(Samples.Rows.Zip(Samples.Width, Samples.Seed), size =>
        {
            var (rows, width, seed) = size;
            errors.Add(OperationCheck.Run(
                    x => Op.LayerNorm(x[0], x[1], x[2], 0.1f), x => Equation(x[0], x[1], x[2], 0.1f, centred: true), 4e-6,
                    OperationCheck.Random([rows, width], seed, offset: 3), OperationCheck.Random([width], seed + 1),
                    OperationCheck.Random([width], seed + 2)));
            errors.Add(
                OperationCheck.Run(
                    x => Op.LayerNorm(x[0], x[1], null, 0.1f), x => Equation(x[0], x[1], null, 0.1f, centred: true), 4e-6,
                    OperationCheck.Random([rows, width], seed), OperationCheck.Random([width], seed + 1)));
        });
    }

    [Theory]
    [InlineData("rms_norm-eps0.01")]
    [InlineData("rms_norm-eps1e-06")]
    public void RmsNorm_agrees_with_PyTorch(string name)
    {
        using var errors = new Errors(output, $"PyTorch {name}");
        var torch = new TorchCase(name);
        var epsilon = (float)torch.Option("eps");
        errors.Add(torch.Check(x => Op.RmsNorm(x[0], x[1], epsilon), 2e-6, "x", "weight"));
    }

    [Theory]
    [InlineData("layer_norm-eps0.01")]
    [InlineData("layer_norm-eps1e-06")]
    public void LayerNorm_agrees_with_PyTorch(string name)
    {
        using var errors = new Errors(output, $"PyTorch {name}");
        var torch = new TorchCase(name);
        var epsilon = (float)torch.Option("eps");
        errors.Add(torch.Check(x => Op.LayerNorm(x[0], x[1], x[2], epsilon), 2e-6, "x", "weight", "bias"));
    }

    [Theory]
    [InlineData(67, 300, true)]
    [InlineData(67, 300, false)]
    [InlineData(9, 1500, true)]
    public void Many_rows_in_many_parts_give_what_each_row_gives_alone(int rows, int width, bool centred)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (shape, values) = OperationCheck.Random([rows, width], 1);
        var (_, upstream) = OperationCheck.Random([rows, width], 2);
        var weight = Tensor.From(OperationCheck.Random([width], 3).Values, [width]).WithGradient();
        var bias = Tensor.From(OperationCheck.Random([width], 4).Values, [width]).WithGradient();
        Tensor Norm(Tensor x) => centred ? Op.LayerNorm(x, weight, bias, 1e-5f) : Op.RmsNorm(x, weight, 1e-5f);

        var all = Tensor.From(values, shape).WithGradient();
        var y = Norm(all);
        var together = y.ToArray();
        tape.Backward(y, upstream);
        var (weightTogether, biasTogether) = (weight.Gradient.ToArray(), bias.Gradient.ToArray());

        weight.ClearGradient();
        bias.ClearGradient();
        var (alone, gradient) = (new List<float>(), new List<float>());
        for (var row = 0; row < rows; row++)
        {
            var x = Tensor.From(values.AsSpan(row * width, width), [width]).WithGradient();
            y = Norm(x);
            alone.AddRange(y.ToArray());
            tape.Backward(y, upstream.AsSpan(row * width, width));
            gradient.AddRange(x.Gradient.ToArray());
        }

        Assert.Equal(alone, together);
        Assert.Equal(gradient, all.Gradient.ToArray());
        OperationCheck.Compare("weight", [.. weight.Gradient.ToArray().Select(value => (double)value)], weightTogether, 1e-5);
        OperationCheck.Compare("bias", [.. bias.Gradient.ToArray().Select(value => (double)value)], biasTogether, 1e-5);
    }

    [Fact]
    public void Gradients_of_the_input_add_to_those_already_there() => OperationCheck.Run(
            x => Op.Add(Op.RmsNorm(x[0], x[1], 0.01f), Op.LayerNorm(x[0], x[1], null, 0.01f)),
            x => [.. Equation(x[0], x[1], null, 0.01f, false).Zip(Equation(x[0], x[1], null, 0.01f, true), (left, right) => left + right)],
            4e-6, OperationCheck.Random([3, 19], 1), OperationCheck.Random([19], 2));

    [Fact]
    public void A_row_of_zeros_is_zero_where_epsilon_is_not()
    {
        using var scope = Arena.Current.Scope();
        var (zeros, weight) = (Tensor.From(new float[5], [1, 5]), Tensor.From([1f, 2, 3, 4, 5], [5]));
        Assert.Equal(new float[5], Op.RmsNorm(zeros, weight, 1e-6f).ToArray());
        Assert.Equal(new float[5], Op.LayerNorm(zeros, weight, null, 1e-6f).ToArray());
    }

    [Fact]
    public void A_large_mean_does_not_drown_the_deviation()
    {
        float[] values = [10000, 10001, 10002, 10003];
        OperationCheck.Run(
            x => Op.LayerNorm(x[0], x[1], null, 1e-5f), x => Equation(x[0], x[1], null, 1e-5f, centred: true), 1e-4,
            ([1, 4], values), ([4], [1, 1, 1, 1]));
    }

    [Fact]
    public void NaN_spoils_its_row_and_no_other()
    {
        using var scope = Arena.Current.Scope();
        var x = Tensor.From([1f, float.NaN, 3, 1, 2, 3], [2, 3]);
        var weight = Tensor.From([1f, 1, 1], [3]);
        foreach (var y in new[] { Op.RmsNorm(x, weight, 1e-5f).ToArray(), Op.LayerNorm(x, weight, null, 1e-5f).ToArray() })
        {
            Assert.All(y[..3], value => Assert.True(float.IsNaN(value)));
            Assert.All(y[3..], value => Assert.True(float.IsFinite(value)));
        }
    }

    [Fact]
    public void Weights_and_biases_that_do_not_fit_are_named()
    {
        using var scope = Arena.Current.Scope();
        var (x, four) = (Tensor.Temporary([2, 3]), Tensor.Temporary([4]));
        Assert.Equal(
            "rms norm: weight is F32 [4], which does not fit x, F32 [2, 3]",
            Assert.Throws<ShapeException>(() => Op.RmsNorm(x, four, 1e-5f)).Message);
        Assert.Equal(
            "layer norm: bias is F32 [4], which does not fit weight, F32 [3]",
            Assert.Throws<ShapeException>(() => Op.LayerNorm(x, Tensor.Temporary([3]), four, 1e-5f)).Message);
    }

    private static double[] Equation(double[] x, double[] weight, double[]? bias, double epsilon, bool centred)
    {
        var width = weight.Length;
        var y = new double[x.Length];
        for (var start = 0; start < x.Length; start += width)
        {
            var row = x.AsSpan(start, width).ToArray();
            var mean = centred ? row.Average() : 0;
            var deviation = Math.Sqrt(row.Select(value => (value - mean) * (value - mean)).Average() + epsilon);
            for (var i = 0; i < width; i++) y[start + i] = ((row[i] - mean) / deviation * weight[i]) + (bias?[i] ?? 0);
        }

        return y;
    }
}
