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
        var (x, dy, bias, seed) = (draw.Normal([rows, inputs]), draw.Normal([rows, outputs]), draw.Normal([outputs]), draw.Between(1, 1000));
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

    private static int Inputs(Draw draw, ElementType type) =>
        Stored.RoundsActivations(type) ? type.BlockElements() * draw.Between(0, 3) : draw.Size(257);
}
