using Tessera.Tensors;

namespace Tessera.Nn.Weights;

/// <summary>One tensor: F32, trained or not, or any type that weights are stored in (BF16, F16, GGUF's blocks).</summary>
public sealed class StoredForm : WeightForm
{
    /// <summary>The form of a parameter.</summary>
    /// <param name="parameter">[outputs, inputs] or [groups, outputs, inputs].</param>
    /// <exception cref="ArgumentException">It has another rank.</exception>
    public StoredForm(Parameter parameter)
    {
        if (parameter.Shape.Rank is not (2 or 3))
            throw new ArgumentException($"a weight of {parameter.Shape}; allowed: [outputs, inputs] or [groups, outputs, inputs]");
        (Parameter, Parameters) = (parameter, [("", parameter)]);
    }

    /// <summary>The tensor.</summary>
    public Parameter Parameter { get; }

    /// <inheritdoc/>
    public override Shape Shape => Parameter.Shape;

    /// <inheritdoc/>
    public override long Bytes => Parameter.Type.Bytes(Parameter.Shape.Count);

    /// <inheritdoc/>
    public override string Description => $"{Parameter.Type}";

    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    /// <inheritdoc/>
    public override Tensor? AsTensor => Parameter.Value;

    /// <inheritdoc/>
    public override bool IsWritable => Parameter.Type == ElementType.F32;

    /// <inheritdoc/>
    public override Tensor Writable() => IsWritable ? Parameter.Writable() : base.Writable();

    /// <inheritdoc/>
    public override Tensor Apply(Activations x, Tensor? bias, ForwardContext context) => Op.Linear(x, Parameter.Value, bias);

    /// <inheritdoc/>
    public override Tensor ApplyGrouped(Activations x, Tensor offsets, ForwardContext context) =>
        Op.GroupedLinear(x, Parameter.Value, offsets);

    /// <inheritdoc/>
    public override Tensor ApplyPerHead(Tensor x, int first, int count, bool transposed) =>
        Op.HeadLinear(x, Parameter.Value, first, count, transposed);

    /// <inheritdoc/>
    public override Tensor Rows(Tensor ids, float scale) => Op.Embedding(ids, Parameter.Value, scale);
}
