namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>One operation on one set of shapes: what to print before it runs, so that a process that dies has said of what.</summary>
internal sealed record FuzzCase(string Name, Action<FuzzCase> Body)
{
    /// <summary>The largest error, relative to the largest expected magnitude (at least 1), of values and gradients in F32, and in
    /// BF16 and F16 of products of factors that these hold exactly.</summary>
    public const double ToleranceF32 = 1e-5;

    /// <summary>As <see cref="ToleranceF32"/> where a BF16 or F16 operation rounds what it has computed itself: a few times 2⁻⁸.</summary>
    public const double ToleranceRounded = 2e-2;

    public double Tolerance { get; init; } = ToleranceF32;

    /// <summary>What products are computed in; inputs and upstream gradients are rounded to it beforehand.</summary>
    public Precision Precision { get; init; }

    /// <summary>A number to put into an input, and where (<see cref="FuzzedSpecials"/>); then values alone are compared.</summary>
    public (float Value, int Seed)? Special { get; init; }

    public void Run() => Body(this);

    /// <summary>The same in fewer bits.</summary>
    public FuzzCase In(Precision precision, double tolerance) =>
        this with
        {
            Precision = precision,
            Tolerance = tolerance,
            Name = $"{precision} {Name}",
        };

    /// <summary>A case that compares an operation and its gradients with the equation in double precision.</summary>
    /// <param name="name">The operation and what is not seen from its inputs' shapes.</param>
    /// <param name="operation">From the inputs as tensors.</param>
    /// <param name="equation">The same over <see cref="Real"/>.</param>
    /// <param name="inputs">Shapes and elements.</param>
    public static FuzzCase Of(
        string name, Func<Tensor[], Tensor> operation, Func<Real[][], Real[]> equation, params (Shape Shape, float[] Values)[] inputs) =>
        new($"{name} of {string.Join(" ", inputs.Select(input => input.Shape))}", one =>
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            using var autocast = Autocast.Enter(one.Precision);
            foreach (var (_, values) in inputs) one.Round(values);
            if (one.Special is { } special) FuzzedSpecials.Put(special, inputs);
            var tensors = inputs.Select(input => Owned(input).WithGradient()).ToArray();
            var output = operation(tensors);
            using (Tape.Record()) Assert.Equal(output.ToArray(), operation(tensors).ToArray()); // the same bits, however the threads met
            var (expectedValues, gradients) = Real.Evaluate(equation, [.. inputs.Select(input => input.Values)]);
            if (one.Special is not null)
            {
                FuzzedSpecials.Compare(expectedValues, output.ToArray(), one.Tolerance);
                return;
            }

            OperationCheck.Compare("value", expectedValues, output.ToArray(), one.Tolerance);

            var upstream = OperationCheck.Random(output.Shape, 9).Values;
            one.Round(upstream);
            tape.Backward(output, upstream);
            var expected = gradients(upstream);
            for (var which = 0; which < inputs.Length; which++)
            {
                var found = tensors[which].Gradient.ToArray();
                OperationCheck.Compare(
                    $"gradient of input {which}", expected[which], found.Length > 0 ? found : new float[expected[which].Length],
                    one.Tolerance);
            }
        });

    private void Round(float[] values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (Precision == Precision.BF16)
                values[i] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(values[i]) & ~0xFFFF);
            if (Precision == Precision.F16) values[i] = (float)(Half)values[i];
        }
    }

    /// <summary>Inputs are owned, as weights are: nothing may be read behind their last element.</summary>
    public static Tensor Owned((Shape Shape, float[] Values) input)
    {
        var tensor = Tensor.Allocate(input.Shape);
        input.Values.CopyTo(tensor.Floats);
        return tensor;
    }

    public static Tensor Owned(int[] values, Shape shape)
    {
        var tensor = Tensor.Allocate(shape, ElementType.I32);
        values.CopyTo(tensor.Ints);
        return tensor;
    }
}
