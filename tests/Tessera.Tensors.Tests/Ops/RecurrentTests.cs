using FsCheck;
using FsCheck.Fluent;

namespace Tessera.Tensors.Tests.Ops;

public class RecurrentTests
{
    private enum Wanted
    {
        Outputs,
        FinalHidden,
        FinalCell,
    }

    [Fact]
    public void Lstm_agrees_with_its_equation_on_random_shapes() =>
        CheckCases(gates: 4, bidirectional: false, [Wanted.Outputs, Wanted.FinalHidden, Wanted.FinalCell]);

    [Fact]
    public void Bidirectional_lstm_agrees_with_its_equation_on_random_shapes() =>
        CheckCases(gates: 4, bidirectional: true, [Wanted.Outputs, Wanted.FinalHidden, Wanted.FinalCell]);

    [Fact]
    public void Gru_agrees_with_its_equation_on_random_shapes() =>
        CheckCases(gates: 3, bidirectional: false, [Wanted.Outputs, Wanted.FinalHidden]);

    [Fact]
    public void Bidirectional_gru_agrees_with_its_equation_on_random_shapes() =>
        CheckCases(gates: 3, bidirectional: true, [Wanted.Outputs, Wanted.FinalHidden]);

    /// <summary>Blocks of eight rows and their remainders, several panels of packed weights.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(3)]
    public void Whole_blocks_of_rows_and_units_agree_with_the_equation(int gates)
    {
        var lengths = new[] { 2, 3, 3, 0, 3, 3, 3, 3, 3, 3, 1 };
        CheckValues(new RecurrentEquation(gates, lengths.Length, 3, 5, 33, lengths), seed: 5);
    }

    [Theory]
    [InlineData(4, false, true)]
    [InlineData(4, true, true)]
    [InlineData(4, true, false)]
    [InlineData(3, true, true)]
    public void A_single_step_agrees_with_the_equation(int gates, bool bidirectional, bool withState) => CheckGradient(
            new RecurrentEquation(gates, 3, 1, 4, 17, [1, 0, 1]), bidirectional, withLengths: true, withState, reverse: false, seed: 8,
            Wanted.FinalHidden);

    [Theory]
    [InlineData(Precision.BF16, 0.02)]
    [InlineData(Precision.F16, 0.003)]
    public void Within_a_scope_of_fewer_bits_results_and_gradients_are_near_those_of_F32(Precision precision, double tolerance)
    {
        var exact = OutputsAndGradients(Precision.F32);
        var rounded = OutputsAndGradients(precision);
        for (var which = 0; which < exact.Length; which++)
            OperationCheck.Compare($"array {which}", [.. exact[which].Select(value => (double)value)], rounded[which], tolerance);
        if (precision == Precision.F16 || Tensors.Kernels.MatrixProductKinds.HasBf16) Assert.NotEqual(exact[0], rounded[0]);

        static float[][] OutputsAndGradients(Precision precision)
        {
            const int Batch = 8, Length = 12, Inputs = 48, Units = 32;
            using var scope = Arena.Current.Scope();
            using var cast = Autocast.Enter(precision);
            using var tape = Tape.Record();
            Tensor Random(Shape shape, int seed, double scale) =>
                Tensor.From(OperationCheck.Random(shape, seed, scale).Values, shape).WithGradient();
            var x = Random([Batch, Length, Inputs], 1, 1);
            var (input, recurrent) = (Random([4 * Units, Inputs], 2, 0.2), Random([4 * Units, Units], 3, 0.2));
            var y = Op.Lstm(x, new LstmWeights(input, recurrent)).Outputs;
            tape.Backward(y, OperationCheck.Random(y.Shape, 4, 0.1).Values);
            return [y.ToArray(), .. new[] { x, input, recurrent }.Select(tensor => tensor.Gradient.ToArray())];
        }
    }

    private static void CheckCases(int gates, bool bidirectional, Wanted[] results)
    {
        CheckCases(gates, bidirectional, results, units: 1, largest: 5, count: 10);
        CheckCases(gates, bidirectional, results, units: 3, largest: 5, count: 10);
        CheckCases(gates, bidirectional, results, units: 17, largest: 3, count: 3); // one whole vector of any width, and a tail
    }

    private static void CheckCases(int gates, bool bidirectional, Wanted[] results, int units, int largest, int count)
    {
        var cases =
            from size in Gen.Choose(1, largest).Three()
            from lengths in Gen.ArrayOf(Gen.Choose(0, size.Item2), size.Item1)
            from flags in Gen.Elements(false, true).Three()
            from seed in Gen.Choose(0, 10_000)
            select (Equation: new RecurrentEquation(gates, size.Item1, size.Item2, size.Item3, units, lengths), flags, seed);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(count), Prop.ForAll(cases.ToArbitrary(), sample =>
        {
            var (equation, (withLengths, withState, reverse), seed) = sample;
            if (!withLengths) equation = equation with { Lengths = [.. Enumerable.Repeat(equation.Length, equation.Batch)] };
            foreach (var wanted in results) CheckGradient(equation, bidirectional, withLengths, withState, reverse, seed, wanted);
        }));
    }

    /// <summary>Inputs: x, four weights of each direction, then the initial states where there are any.</summary>
    private static void CheckGradient(
        RecurrentEquation equation, bool bidirectional, bool withLengths, bool withState, bool reverse, int seed, Wanted wanted)
    {
        var directions = bidirectional ? 2 : 1;
        var (stacked, units) = (equation.Gates * equation.Units, equation.Units);
        List<(Shape, float[])> inputs = [OperationCheck.Random([equation.Batch, equation.Length, equation.Inputs], seed)];
        for (var direction = 0; direction < directions; direction++)
        {
            foreach (var shape in new Shape[] { [stacked, equation.Inputs], [stacked, units], [stacked], [stacked] })
                inputs.Add(OperationCheck.Random(shape, seed + inputs.Count, 0.5));
        }

        Shape state = bidirectional ? [2, equation.Batch, units] : [equation.Batch, units];
        var states = !withState ? 0 : equation.Gates == 4 ? 2 : 1;
        for (var i = 0; i < states; i++) inputs.Add(OperationCheck.Random(state, seed + inputs.Count));

        OperationCheck.Run(
            tensors => Pick(Operation(tensors, equation, directions, states, withLengths, reverse), wanted),
            values => Exact(values, equation, directions, states, reverse, wanted),
            1e-5, [.. inputs]);
    }

    private static LstmResult Operation(Tensor[] t, RecurrentEquation equation, int directions, int states, bool withLengths, bool reverse)
    {
        var lengths = withLengths ? Tensor.From(equation.Lengths, [equation.Batch]) : null;
        var hidden = states > 0 ? t[1 + (4 * directions)] : null;
        var cell = states > 1 ? t[2 + (4 * directions)] : null;
        if (equation.Gates == 4)
        {
            var first = new LstmWeights(t[1], t[2], t[3], t[4]);
            return directions == 1
                ? Op.Lstm(t[0], first, hidden, cell, lengths, reverse)
                : Op.BidirectionalLstm(t[0], first, new LstmWeights(t[5], t[6], t[7], t[8]), hidden, cell, lengths);
        }

        var weights = new GruWeights(t[1], t[2], t[3], t[4]);
        var result = directions == 1
            ? Op.Gru(t[0], weights, hidden, lengths, reverse)
            : Op.BidirectionalGru(t[0], weights, new GruWeights(t[5], t[6], t[7], t[8]), hidden, lengths);
        return new LstmResult(result.Outputs, result.FinalHidden, null!);
    }

    private static Tensor Pick(LstmResult result, Wanted wanted) =>
        wanted == Wanted.Outputs ? result.Outputs : wanted == Wanted.FinalHidden ? result.FinalHidden : result.FinalCell;

    private static double[] Exact(double[][] values, RecurrentEquation equation, int directions, int states, bool reverse, Wanted wanted)
    {
        var runs = new List<(double[] Outputs, double[] Hidden, double[] Cell)>();
        for (var direction = 0; direction < directions; direction++)
        {
            double[]? State(int which) =>
                states <= which ? null : values[1 + (4 * directions) + which].Chunk(equation.Batch * equation.Units).ElementAt(direction);
            runs.Add(
                equation.Run(
                    values[0], values.AsSpan(1 + (4 * direction), 4), State(0), State(1), direction == 1 || (directions == 1 && reverse)));
        }

        return wanted switch
        {
            Wanted.FinalHidden => [.. runs.SelectMany(run => run.Hidden)],
            Wanted.FinalCell => [.. runs.SelectMany(run => run.Cell)],
            _ when directions == 1 => runs[0].Outputs,
            _ =>
            [
                .. runs[0]
                    .Outputs.Chunk(equation.Units)
                    .Zip(runs[1].Outputs.Chunk(equation.Units), (left, right) => left.Concat(right))
                    .SelectMany(row => row),
            ],
        };
    }

    private static void CheckValues(RecurrentEquation equation, int seed)
    {
        using var scope = Arena.Current.Scope();
        var stacked = equation.Gates * equation.Units;
        Shape[] shapes =
        [
            [equation.Batch, equation.Length, equation.Inputs],
            [stacked, equation.Inputs],
            [stacked, equation.Units],
            [stacked],
            [stacked],
        ];
        var inputs = shapes.Select((shape, i) => OperationCheck.Random(shape, seed + i, 0.5)).ToArray();
        var exact = inputs.Select(input => input.Values.Select(value => (double)value).ToArray()).ToArray();
        var tensors = inputs.Select(input => Tensor.From(input.Values, input.Shape)).ToArray();
        foreach (var wanted in new[] { Wanted.Outputs, Wanted.FinalHidden })
        {
            var found = Pick(Operation(tensors, equation, 1, 0, withLengths: true, reverse: true), wanted);
            OperationCheck.Compare("value", Exact(exact, equation, 1, 0, reverse: true, wanted), found.ToArray(), 1e-6);
        }
    }
}
