namespace Tessera.Tensors.Tests.Fuzz;

/// <summary>One operation on one set of shapes: what to print before it runs, so that a process that dies has said of what.</summary>
internal sealed record FuzzCase(string Name, Action<double> Body)
{
    /// <summary>The largest error, relative to the largest expected magnitude (at least 1), of values and gradients in F32.</summary>
    public const double ToleranceF32 = 1e-5;

    public double Tolerance { get; init; } = ToleranceF32;

    public void Run() => Body(Tolerance);

    /// <summary>A case that compares an operation and its gradients with the equation in double precision.</summary>
    /// <param name="name">The operation and what is not seen from its inputs' shapes.</param>
    /// <param name="operation">From the inputs as tensors.</param>
    /// <param name="equation">The same over <see cref="Real"/>.</param>
    /// <param name="inputs">Shapes and elements.</param>
    public static FuzzCase Of(
        string name, Func<Tensor[], Tensor> operation, Func<Real[][], Real[]> equation, params (Shape Shape, float[] Values)[] inputs) =>
        new($"{name} of {string.Join(" ", inputs.Select(input => input.Shape))}", tolerance =>
        {
            using var scope = Arena.Current.Scope();
            using var tape = Tape.Record();
            var tensors = inputs.Select(input => Owned(input).WithGradient()).ToArray();
            var output = operation(tensors);
            var (values, gradients) = Real.Evaluate(equation, [.. inputs.Select(input => input.Values)]);
            OperationCheck.Compare("value", values, output.ToArray(), tolerance);

            var upstream = OperationCheck.Random(output.Shape, 9).Values;
            tape.Backward(output, upstream);
            var expected = gradients(upstream);
            for (var which = 0; which < inputs.Length; which++)
            {
                var found = tensors[which].Gradient.ToArray();
                OperationCheck.Compare(
                    $"gradient of input {which}", expected[which], found.Length > 0 ? found : new float[expected[which].Length], tolerance);
            }
        });

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
