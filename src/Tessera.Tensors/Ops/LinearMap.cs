using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>A linear map, for operations that are made of several or fused with them.</summary>
/// <param name="Weight">[outputs, inputs], of any type but I32; <see cref="Op.FeedForward"/> wants F32.</param>
/// <param name="Bias">[outputs], or none.</param>
public readonly record struct LinearMap(Tensor Weight, Tensor? Bias = null)
{
    /// <summary>Throws where it is not F32 of a size.</summary>
    internal void Check(string operation, string name, int inputs, int outputs)
    {
        ShapeException.Require(
            Weight.Shape == [outputs, inputs] && Weight.Type == ElementType.F32, operation, name, Weight, $"F32 [{outputs}, {inputs}]");
        if (Bias is not null) ShapeException.Require(Bias.Shape == [outputs], operation, "bias", Bias, name, Weight);
    }

    /// <summary>y = x Wᵀ + b, of F32.</summary>
    internal void Multiply(Tensor x, Tensor y, MatrixProductKind kind, MatrixProductEpilogue epilogue = default)
    {
        MatrixProduct.Multiply(
            x.AsMatrix(), Weight.AsMatrix().T, y.Floats, accumulate: false, bias: Bias is null ? default : Bias.Floats, kind: kind,
            packed: PackedParameter.Of(Weight, transposed: true, kind), epilogue: epilogue);
        GC.KeepAlive(x);
        GC.KeepAlive(Weight);
        GC.KeepAlive(Bias);
    }

    /// <summary>dx = dy W, or dx += dy W.</summary>
    internal void MultiplyBack(
        Matrix dy, Span<float> dx, bool accumulate, MatrixProductKind kind, MatrixProductEpilogue epilogue = default) =>
        MatrixProduct.Multiply(
            dy, Weight.AsMatrix(), dx, accumulate, kind: kind, packed: PackedParameter.Of(Weight, transposed: false, kind),
            epilogue: epilogue);

    /// <summary>Adds dyᵀ x to the weight's gradient and the sum of dy to the bias', where they have any.</summary>
    internal void AddGradients(Matrix dy, Tensor x, MatrixProductKind kind)
    {
        if (Weight.Slot is { } weight)
            MatrixProduct.Multiply(dy.T, x.AsMatrix(), weight.Write(out var accumulate), accumulate, kind: kind);
        if (Bias?.Slot is { } bias) RowKernels.SumRows(dy.Data, bias.Add());
    }

    /// <summary>How a product of so many rows is computed.</summary>
    internal MatrixProductKind KindFor(int rows, bool isReady) =>
        MatrixProductKinds.Choose(rows, Weight.Shape[0], Weight.Shape[1], isReady);
}
