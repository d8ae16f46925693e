using Tessera.Tensors.Tests.Quantization;

namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>Linear maps and tables whose weights are stored in fewer bits, and end where a file's mapping might.</summary>
internal static class FuzzedStored
{
    private const int Multiplications = 400_000;

    /// <summary>F32 rounding of the sums, in parts of the sum of the products' magnitudes.</summary>
    private const double Rounding = 1e-6;

    public static FuzzCase Linear(Draw draw)
    {
        int rows, inputs, outputs;
        var type = draw.Pick(Stored.Types);
        do (rows, inputs, outputs) = (draw.Size(129), Inputs(draw, type), draw.Size(257));
        while ((long)rows * inputs * outputs > Multiplications);
        var (x, dy, bias, seed) = (
            draw.Normal([rows, inputs]), draw.Normal([rows, outputs]), draw.Normal([outputs]), draw.Between(1, 1000));
        var hasBias = draw.Coin;
        return new FuzzCase($"linear with {type} of [{rows}, {inputs}] to {outputs}, bias {hasBias}", _ =>
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var weight = Stored.Weight(type, [outputs, inputs], seed);
            var input = FuzzCase.Owned(x).WithGradient();
            var y = Op.Linear(input, weight, hasBias ? FuzzCase.Owned(bias) : null);
            var values = Stored.Values(weight);
            var seen = Stored.RoundsActivations(type) ? Stored.Rounded(x.Values) : [.. x.Values.Select(value => (double)value)];
            var (expected, magnitudes) = Stored.Product(seen, values, inputs, outputs);
            if (inputs == 0) (expected, magnitudes) = (new double[rows * outputs], new double[rows * outputs]);
            for (var i = 0; hasBias && i < expected.Length; i++)
            {
                expected[i] += bias.Values[i % outputs];
                magnitudes[i] += Math.Abs(bias.Values[i % outputs]);
            }

            Stored.Compare("value", expected, magnitudes, y.Floats, Rounding);

            tape.Backward(y, dy.Values);
            var transposed = new float[inputs * outputs];
            for (var i = 0; i < transposed.Length; i++) transposed[i] = values[(i % outputs * inputs) + (i / outputs)];
            var (gradient, sums) = Stored.Product([.. dy.Values.Select(value => (double)value)], transposed, outputs, inputs);
            if (outputs == 0) (gradient, sums) = (new double[rows * inputs], new double[rows * inputs]);
            Stored.Compare("gradient", gradient, sums, input.Gradient, Rounding);
        });
    }

    public static FuzzCase Embedding(Draw draw)
    {
        var type = draw.Pick(Stored.Types);
        var (ids, rows, width, seed) = (draw.Size(33), draw.Size(33, 1), Inputs(draw, type), draw.Between(1, 1000));
        var chosen = draw.Below(rows, ids);
        return new FuzzCase($"embedding of {ids} ids in {type} [{rows}, {width}]", _ =>
        {
            using var scope = Arena.Current.Scope();
            var table = Stored.Weight(type, [rows, width], seed);
            var found = Op.Embedding(FuzzCase.Owned(chosen, [ids]), table, 2).ToArray();
            Assert.Equal(chosen.SelectMany(id => Stored.Values(table).Skip(id * width).Take(width).Select(value => 2 * value)), found);
        });
    }

    public static FuzzCase HeadLinear(Draw draw)
    {
        var type = draw.Pick(Stored.Types);
        var (tokens, heads, inputs, count) = (draw.Size(33), draw.Between(1, 4), Inputs(draw, type), draw.Size(33));
        var (first, rows, transposed, seed) = (draw.Between(0, 2), count + draw.Between(2, 4), draw.Coin, draw.Between(1, 1000));
        var x = draw.Normal([tokens, heads, transposed ? inputs : count]);
        return new FuzzCase(
            $"head linear of {x.Shape} with rows {first} to {first + count} of {rows} in {type}, transposed {transposed}",
            one =>
            {
                using var scope = Arena.Current.Scope();
                var weight = Stored.Weight(type, [heads * rows, inputs], seed);
                var found = Op.HeadLinear(FuzzCase.Owned(x), weight, first, count, transposed).ToArray();
                var expected = Op.HeadLinear(FuzzCase.Owned(x), Op.Convert(weight, ElementType.F32), first, count, transposed).ToArray(); // F32 has a case of its own
                OperationCheck.Compare("value", [.. expected.Select(value => (double)value)], found, one.Tolerance);
        });
    }

    /// <summary>Each row is converted as it is alone, whatever stands beside it; what F16 and BF16 hold is the nearest there is.</summary>
    public static FuzzCase Convert(Draw draw)
    {
        var (from, to) = (draw.Pick([ElementType.F32, .. Stored.Types]), draw.Pick([.. Stored.Types.Where(type => type.CanBeWritten())]));
        var (rows, width, seed) = (draw.Size(65), Inputs(draw, Stored.RoundsActivations(from) ? from : to), draw.Between(1, 1000));
        if (width % to.BlockElements() != 0) width = to.BlockElements();
        return new FuzzCase($"convert {from} [{rows}, {width}] to {to}", _ =>
        {
            using var scope = Arena.Current.Scope();
            var x =
                from == ElementType.F32
                    ? FuzzCase.Owned(OperationCheck.Random([rows, width], seed))
                    : Stored.Weight(from, [rows, width], seed);
            var y = Tensor.Allocate([rows, width], to);
            Op.Convert(x, y);
            for (var row = 0; row < rows && width > 0; row++)
            {
                var alone = Tensor.Allocate([1, width], from);
                x.Bytes.Slice(row * alone.Bytes.Length, alone.Bytes.Length).CopyTo(alone.Bytes);
                var one = Op.Convert(alone, to);
                Assert.True(
                    one.Bytes.SequenceEqual(y.Bytes.Slice(row * one.Bytes.Length, one.Bytes.Length)),
                    $"row {row} differs from the same row alone");
            }

            if (Stored.RoundsActivations(to)) return;
            var values = from == ElementType.F32 ? x.ToArray() : Stored.Values(x);
            Assert.Equal(values.Select(value => to == ElementType.F16 ? (float)(Half)value : (float)Rounding16(value)), Stored.Values(y));
        });
    }

    private static double Rounding16(float value) => Kernels.Rounding.To(Tensors.Kernels.MatrixProductKind.Bf16, value);

    private static int Inputs(Draw draw, ElementType type) =>
        Stored.RoundsActivations(type) ? type.BlockElements() * draw.Between(0, 3) : draw.Size(257);
}
