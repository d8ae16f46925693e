using FsCheck;
using FsCheck.Fluent;
using Xunit.Abstractions;

namespace Tessera.Tensors.Tests.Ops;

public class CrossEntropyTests(ITestOutputHelper output)
{
    private static readonly Gen<(int Rows, int Classes, CrossEntropySettings Settings, int Seed)> s_cases =
        Samples.Rows.Zip(Samples.Width, Gen.Elements(0f, 0.1f, 0.7f)).Zip(Gen.Elements(0f, 0.01f, 0.3f), Samples.Seed)
            .Select(size => (size.Item1.Item1, size.Item1.Item2, new CrossEntropySettings(size.Item1.Item3, size.Item2), size.Item3));

    [Fact]
    public void CrossEntropy_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "cross entropy");
        Samples.ForAll(s_cases, size =>
        {
            var (rows, classes, settings, seed) = size;
            var targets = Targets(rows, classes, seed);
            errors.Add(OperationCheck.Run(
                x => Op.CrossEntropy(x[0], Tensor.From(targets, [rows]), settings), x => [Equation(x[0], targets, classes, settings)], 2e-6,
                OperationCheck.Random([rows, classes], seed, scale: 2)));
        }, cases: 60);
    }

    [Fact]
    public void LinearCrossEntropy_agrees_with_its_equation_on_random_shapes()
    {
        using var errors = new Errors(output, "linear cross entropy");
        Samples.ForAll(s_cases.Zip(Samples.MaxSide), size =>
        {
            var ((rows, classes, settings, seed), width) = size;
            var targets = Targets(rows, classes, seed);
            errors.Add(OperationCheck.Run(
                x => Op.LinearCrossEntropy(x[0], x[1], Tensor.From(targets, [rows]), settings),
                x => [Equation(Logits(x[0], x[1], width), targets, classes, settings)], 4e-6,
                OperationCheck.Random([rows, width], seed), OperationCheck.Random([classes, width], seed + 1)));
        }, cases: 60);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1.5f)]
    public void LinearCrossEntropy_with_a_bias_of_logits_that_may_be_capped_agrees_with_its_equation(float cap)
    {
        using var errors = new Errors(output, $"linear cross entropy with a bias, cap {cap}");
        Samples.ForAll(s_cases.Zip(Samples.MaxSide), size =>
        {
            var ((rows, classes, settings, seed), width) = size;
            var targets = Targets(rows, classes, seed);
            errors.Add(OperationCheck.Run(
                x => Op.LinearCrossEntropy(x[0], x[1], Tensor.From(targets, [rows]), settings, x[2], cap),
                x => [Equation(
                    [.. Logits(x[0], x[1], width).Select((logit, i) => logit + x[2][i % classes])
                        .Select(logit => cap == 0 ? logit : cap * Math.Tanh(logit / cap))], targets, classes, settings)], 1e-5,
                OperationCheck.Random([rows, width], seed), OperationCheck.Random([classes, width], seed + 1),
                OperationCheck.Random([classes], seed + 2)));
        }, cases: 40);
    }

    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.Q8_0)]
    public void A_weight_of_another_type_gives_the_loss_and_gradient_of_whole_logits(ElementType type)
    {
        const int Rows = 300, Width = 64, Classes = 75;
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var weight = Op.Convert(Tensor.From(OperationCheck.Random([Classes, Width], 2).Values, [Classes, Width]), type);
        var bias = Tensor.From(OperationCheck.Random([Classes], 3).Values, [Classes]);
        var targets = Tensor.From(Targets(Rows, Classes, 1), [Rows]);
        Tensor X() => Tensor.From(OperationCheck.Random([Rows, Width], 1).Values, [Rows, Width]).WithGradient();
        var (x, wholeX) = (X(), X());
        var loss = Op.LinearCrossEntropy(x, weight, targets, bias: bias);
        var whole = Op.CrossEntropy(Op.Linear(wholeX, weight, bias), targets);
        Assert.Equal(whole.Item(), loss.Item(), 1e-5);
        tape.Backward(Op.Add(loss, whole));
        OperationCheck.Compare("x", [.. wholeX.Gradient.ToArray().Select(value => (double)value)], x.Gradient.ToArray(), 1e-6);
    }

    [Theory]
    [InlineData(256)]
    [InlineData(257)]
    [InlineData(600)]
    public void Many_rows_at_a_time_give_the_loss_and_gradients_of_whole_logits(int rows)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        const int Width = 7, Classes = 37;
        var targets = Targets(rows, Classes, 1);
        var settings = new CrossEntropySettings(0.1f, 0.01f);
        Tensor X() => Tensor.From(OperationCheck.Random([rows, Width], 1).Values, [rows, Width]).WithGradient();
        Tensor Weight() => Tensor.From(OperationCheck.Random([Classes, Width], 2).Values, [Classes, Width]).WithGradient();

        var (x, weight) = (X(), Weight());
        var loss = Op.LinearCrossEntropy(x, weight, Tensor.From(targets, [rows]), settings);
        var value = loss.Item();
        tape.Backward(loss, scale: 3);

        var (wholeX, wholeWeight) = (X(), Weight());
        var whole = Op.CrossEntropy(Op.Linear(wholeX, wholeWeight), Tensor.From(targets, [rows]), settings);
        Assert.Equal(whole.Item(), value, 1e-5);
        tape.Backward(whole, scale: 3);
        OperationCheck.Compare("x", [.. wholeX.Gradient.ToArray().Select(v => (double)v)], x.Gradient.ToArray(), 1e-6);
        OperationCheck.Compare("weight", [.. wholeWeight.Gradient.ToArray().Select(v => (double)v)], weight.Gradient.ToArray(), 1e-6);
    }

    [Fact]
    public void Many_rows_in_many_parts_are_each_right()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        const int Rows = 700, Classes = 37;
        var targets = Targets(Rows, Classes, 1);
        var (shape, values) = OperationCheck.Random([Rows, Classes], 1, scale: 2);
        var settings = new CrossEntropySettings(0.1f, 0.01f);
        var logits = Tensor.From(values, shape).WithGradient();
        var loss = Op.CrossEntropy(logits, Tensor.From(targets, [Rows]), settings);
        Assert.Equal(Equation([.. values.Select(value => (double)value)], targets, Classes, settings), loss.Item(), 5e-6);

        tape.Backward(loss, scale: Rows);
        var counted = targets.Count(target => target >= 0);
        var expected = values.Chunk(Classes).SelectMany((row, r) =>
                {
                    var total = row.Sum(value => Math.Exp(value));
            return row.Select((value, i) => targets[r] < 0
                                ? 0
                                : (
                                    (Math.Exp(value) / total * (1 + (2 * 0.01 * Math.Log(total))))
                                    - (i == targets[r] ? 0.9 : 0)
                                    - (0.1 / Classes))
                                    * Rows
                                    / counted);
                });
        OperationCheck.Compare("gradient", [.. expected], logits.Gradient.ToArray(), 2e-6);
    }

    [Theory]
    [InlineData("cross_entropy-plain")]
    [InlineData("cross_entropy-smooth")]
    [InlineData("cross_entropy-z")]
    [InlineData("cross_entropy-sum")]
    public void CrossEntropy_agrees_with_PyTorch(string name)
    {
        using var errors = new Errors(output, $"PyTorch {name}");
        var torch = new TorchCase(name);
        var targets = torch.Tensors.Ints("target");
        var settings = new CrossEntropySettings(
            name.EndsWith("smooth", StringComparison.Ordinal) ? (float)torch.Option("label_smoothing") : 0,
            name.EndsWith("-z", StringComparison.Ordinal) ? (float)torch.Option("z_weight") : 0);
        var factor = name.EndsWith("sum", StringComparison.Ordinal) ? targets.Count(target => target >= 0) : 1f;
        errors.Add(torch.Check(
            x => Op.Scale(Op.CrossEntropy(x[0], Tensor.From(targets, [targets.Length]), settings), factor), 1e-6, "logits"));
    }

    [Fact]
    public void Where_no_row_counts_the_loss_and_the_gradients_are_zero()
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        foreach (var rows in new[] { 0, 2 })
        {
            int[] targets = [.. Enumerable.Repeat(-1, rows)];
            var x = Tensor.From(new float[rows * 3], [rows, 3]).WithGradient();
            var weight = Tensor.From(OperationCheck.Random([4, 3], 1).Values, [4, 3]).WithGradient();
            var garbage = Tensor.From([.. Enumerable.Repeat(float.NaN, 4000)], [4000]);
            Assert.True(float.IsNaN(garbage.Floats[0]));
            var loss = Op.LinearCrossEntropy(x, weight, Tensor.From(targets, [rows]));
            Assert.Equal(0, loss.Item());
            tape.Backward(loss);
            Assert.All(weight.Gradient.ToArray(), value => Assert.Equal(0, value));

            loss = Op.CrossEntropy(x, Tensor.From(targets, [rows]));
            Assert.Equal(0, loss.Item());
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_logit_that_is_NaN_or_infinite_gives_a_loss_that_is_NaN(float bad)
    {
        using var scope = Arena.Current.Scope();
        for (var place = 0; place < 19; place++)
        {
            var logits = OperationCheck.Random([2, 19], 1).Values;
            logits[place] = bad;
            Assert.True(float.IsNaN(Op.CrossEntropy(Tensor.From(logits, [2, 19]), Tensor.From([3, 5], [2])).Item()));
        }
    }

    [Fact]
    public void A_class_at_minus_infinity_is_impossible_and_costs_infinity_when_it_is_the_target()
    {
        using var scope = Arena.Current.Scope();
        var logits = Tensor.From([0, 0, float.NegativeInfinity], [1, 3]);
        Assert.Equal(Math.Log(2), Op.CrossEntropy(logits, Tensor.From([0], [1])).Item(), 6);
        Assert.Equal(float.PositiveInfinity, Op.CrossEntropy(logits, Tensor.From([2], [1])).Item());
    }

    [Fact]
    public void Logits_of_any_size_do_not_overflow()
    {
        using var scope = Arena.Current.Scope();
        var logits = Tensor.From([1e30f, -1e30f, 0], [1, 3]);
        Assert.Equal(0, Op.CrossEntropy(logits, Tensor.From([0], [1])).Item());
        Assert.Equal(2e30f, Op.CrossEntropy(logits, Tensor.From([1], [1])).Item());
    }

    [Fact]
    public void Targets_and_settings_outside_their_range_are_refused()
    {
        using var scope = Arena.Current.Scope();
        var (logits, targets) = (Tensor.From(new float[6], [2, 3]), Tensor.From([0, 1], [2]));
        Assert.Equal(
            "cross entropy: target 3 is not one of 3 classes",
            Assert.Throws<ShapeException>(() => Op.CrossEntropy(logits, Tensor.From([0, 3], [2]))).Message);
        Assert.Contains(
            "expected I32 of 2 elements",
            Assert.Throws<ShapeException>(() => Op.CrossEntropy(logits, Tensor.From([0], [1]))).Message, StringComparison.Ordinal);
        Assert.Throws<ShapeException>(() => Op.LinearCrossEntropy(logits, Tensor.Allocate([4, 2]), targets));
        Assert.Throws<ShapeException>(() => Op.LinearCrossEntropy(logits, Tensor.Allocate([4, 3]), targets, bias: Tensor.Allocate([3])));
        foreach (var cap in new[] { -1, float.NaN, float.PositiveInfinity })
            Assert.Throws<ArgumentOutOfRangeException>(() => Op.LinearCrossEntropy(logits, Tensor.Allocate([4, 3]), targets, softCap: cap));
        foreach (var smoothing in new[] { -0.1f, 1, float.NaN })
            Assert.Throws<ArgumentOutOfRangeException>(() => Op.CrossEntropy(logits, targets, new CrossEntropySettings(smoothing)));
    }

    private static int[] Targets(int rows, int classes, int seed) =>
        [.. Samples.Below(classes, rows, seed).Select((target, i) => (i + seed) % 4 == 0 ? -100 : target)];

    private static double[] Logits(double[] x, double[] weight, int width) =>
        [.. x.Chunk(width).SelectMany(row => weight.Chunk(width).Select(column => row.Zip(column, (left, right) => left * right).Sum()))];

    private static double Equation(double[] logits, int[] targets, int classes, CrossEntropySettings settings)
    {
        var losses = new List<double>();
        for (var row = 0; row < targets.Length; row++)
        {
            if (targets[row] < 0) continue;
            var scores = logits.AsSpan(row * classes, classes).ToArray();
            var logSum = Math.Log(scores.Sum(Math.Exp));
            var loss = settings.ZWeight * logSum * logSum;
            for (var i = 0; i < classes; i++)
            {
                var wanted = ((i == targets[row] ? 1 : 0) * (1 - (double)settings.Smoothing)) + (settings.Smoothing / (double)classes);
                loss -= wanted * (scores[i] - logSum);
            }

            losses.Add(loss);
        }

        return losses.DefaultIfEmpty(0).Average();
    }
}
