using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Tensors.Tests;

/// <summary>What PyTorch computed for an operation: <c>Fixtures/torch/&lt;name&gt;</c>, written by
/// <c>tests/Fixtures/make_torch.py</c>.</summary>
internal sealed class TorchCase(string name)
{
    private readonly ReferenceTensors _tensors = new(Path.Combine(Fixture.Local("torch"), name, "expected.safetensors"));

    public ReferenceTensors Tensors => _tensors;

    public double Option(string option)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Fixture.Local("torch"), name, "case.json")));
        return document.RootElement.GetProperty(option).GetDouble();
    }

    /// <summary>Compares the operation's result with <c>y</c> and the gradients of the named inputs with <c>grad.…</c>.</summary>
    public (double Value, double Gradient) Check(Func<Tensor[], Tensor> operation, double tolerance, params string[] inputs)
    {
        using var scope = Arena.Current.Scope();
        using var tape = Tape.Record();
        var tensors = inputs
            .Select(input => Tensor.From(_tensors.Floats(input), new Shape(_tensors.Shape(input))).WithGradient())
            .ToArray();
        var y = operation(tensors);
        var value = OperationCheck.Compare($"{name} y", Exact("y"), y.ToArray(), tolerance);
        tape.Backward(y, _tensors.Has("dy") ? _tensors.Floats("dy") : [1]);
        var gradient = inputs.Select((input, i) =>
            OperationCheck.Compare($"{name} grad.{input}", Exact("grad." + input), tensors[i].Gradient.ToArray(), tolerance)).Max();
        return (value, gradient);
    }

    private double[] Exact(string tensor) => [.. _tensors.Floats(tensor).Select(value => (double)value)];
}
