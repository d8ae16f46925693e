using FsCheck;
using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Ops;

public class GroupedLinearTests
{
    [Fact]
    public void Grouped_linear_agrees_with_its_equation_on_random_groups_some_of_them_empty()
    {
        var cases =
            from inputs in Gen.Choose(1, 9)
            from outputs in Gen.Choose(1, 9)
            from unused in Gen.Choose(0, 3)
            from sizes in Gen.Elements(0, 0, 1, 2, 5).NonEmptyListOf()
            select (inputs, outputs, unused, sizes: sizes.Take(6).ToArray());
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(60), Prop.ForAll(cases.ToArbitrary(), one =>
        {
            var (inputs, outputs, unused, sizes) = one;
            var offsets = Offsets(sizes);
            var slots = offsets[^1] + unused;
            OperationCheck.Run(
                x => Op.GroupedLinear(x[0], x[1], Tensor.From(offsets, [offsets.Length])),
                x => Equation(x[0], x[1], offsets, slots, inputs, outputs),
                1e-5,
                OperationCheck.Random([slots, inputs], 1), OperationCheck.Random([sizes.Length, outputs, inputs], 2));
        }));
    }

    [Fact]
    public void Gradients_of_two_uses_add_up_and_groups_without_rows_keep_theirs()
    {
        var (first, second) = (Offsets(0, 2, 3, 0), Offsets(4, 0, 0, 1));
        OperationCheck.Run(
            x => Op.Add(
                Op.GroupedLinear(x[0], x[1], Tensor.From(first, [5])), Op.GroupedLinear(x[0], x[1], Tensor.From(second, [5]))),
            x => [.. Equation(x[0], x[1], first, 7, 3, 4).Zip(Equation(x[0], x[1], second, 7, 3, 4), (l, r) => l + r)],
            1e-5,
            OperationCheck.Random([7, 3], 1), OperationCheck.Random([4, 4, 3], 2));
    }

    [Theory]
    [InlineData(600, 0, 20, 131, 1, 300)]
    [InlineData(40, 37, 900, 3)]
    [InlineData(1, 1, 1, 1, 1, 1, 1, 1)]
    public void Groups_of_any_size_give_what_a_linear_map_of_each_gives(params int[] sizes)
    {
        const int Inputs = 72, Outputs = 200, Unused = 5;
        var offsets = Offsets(sizes);
        var slots = offsets[^1] + Unused;
        var (x, weight) = (OperationCheck.Random([slots, Inputs], 1), OperationCheck.Random([sizes.Length, Outputs, Inputs], 2));
        var upstream = OperationCheck.Random([slots, Outputs], 3).Values;

        var (y, dx, dw) = Run(x.Values, x.Shape, weight.Values, weight.Shape, upstream, (a, b) =>
            Op.GroupedLinear(a, b, Tensor.From(offsets, [offsets.Length]))
        );
        for (var group = 0; group < sizes.Length; group++)
        {
            if (sizes[group] == 0)
            {
                Assert.All(Part(dw, group, Outputs * Inputs, 1), value => Assert.Equal(0, value));
                continue;
            }

            var (expectedY, expectedDx, expectedDw) = Run(
                Part(x.Values, offsets[group], Inputs, sizes[group]), [sizes[group], Inputs],
                Part(weight.Values, group, Outputs * Inputs, 1), [Outputs, Inputs],
                Part(upstream, offsets[group], Outputs, sizes[group]), (a, b) => Op.Linear(a, b));
            Compare("y", expectedY, Part(y, offsets[group], Outputs, sizes[group]));
            Compare("dx", expectedDx, Part(dx, offsets[group], Inputs, sizes[group]));
            Compare("dw", expectedDw, Part(dw, group, Outputs * Inputs, 1));
        }

        Assert.All(Part(y, offsets[^1], Outputs, Unused), value => Assert.Equal(0, value));
        Assert.All(Part(dx, offsets[^1], Inputs, Unused), value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(1, 1, 2)]
    [InlineData(0, -1, 2)]
    [InlineData(0, 3, 2)]
    [InlineData(0, 3, 5)]
    [InlineData(0, int.MaxValue, 4)]
    public void Offsets_that_fall_or_leave_the_slots_are_refused(params int[] offsets)
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() =>
            Op.GroupedLinear(Tensor.Temporary([4, 3]), Tensor.Temporary([2, 5, 3]), Tensor.From(offsets, [3])));
        Assert.Contains("grouped linear: offset", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Offsets_must_be_one_more_than_the_groups()
    {
        using var scope = Arena.Current.Scope();
        var error = Assert.Throws<ShapeException>(() =>
            Op.GroupedLinear(Tensor.Temporary([4, 3]), Tensor.Temporary([2, 5, 3]), Tensor.From([0, 4], [2])));
        Assert.Contains(
            "grouped linear: offsets is I32 [2], which does not fit weight, F32 [2, 5, 3]", error.Message, StringComparison.Ordinal);
    }

    private static (float[] Y, float[] Dx, float[] Dw) Run(
        float[] x, Shape shapeX, float[] weight, Shape shapeWeight, float[] upstream, Func<Tensor, Tensor, Tensor> operation)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var (input, matrix) = (Tensor.From(x, shapeX).WithGradient(), Tensor.From(weight, shapeWeight).WithGradient());
        var y = operation(input, matrix);
        var values = y.ToArray();
        tape.Backward(y, upstream);
        return (values, input.Gradient.ToArray(), matrix.Gradient.ToArray());
    }

    private static void Compare(string what, float[] expected, float[] found) =>
        OperationCheck.Compare(what, [.. expected.Select(value => (double)value)], found, 1e-6);

    private static float[] Part(float[] all, int start, int size, int count) => all.AsSpan(start * size, count * size).ToArray();

    private static int[] Offsets(params int[] sizes)
    {
        var offsets = new int[sizes.Length + 1];
        for (var i = 0; i < sizes.Length; i++) offsets[i + 1] = offsets[i] + sizes[i];
        return offsets;
    }

    private static double[] Equation(double[] x, double[] weight, int[] offsets, int slots, int inputs, int outputs)
    {
        var y = new double[slots * outputs];
        for (var group = 0; group < offsets.Length - 1; group++)
            for (var row = offsets[group]; row < offsets[group + 1]; row++)
                for (var output = 0; output < outputs; output++)
                    for (var i = 0; i < inputs; i++)
                        y[(row * outputs) + output] += x[(row * inputs) + i] * weight[(((group * outputs) + output) * inputs) + i];
        return y;
    }
}
