using Tessera.Tensors;

namespace Tessera.Nn.Weights;

/// <summary>
/// How a <see cref="Weight"/> is stored and multiplied with: what is written here for W holds for what the form stands for. A form has
/// parameters of its own, one or several; a form may be the form of several weights.
/// </summary>
public abstract class WeightForm
{
    /// <summary>[outputs, inputs] or [groups, outputs, inputs].</summary>
    public abstract Shape Shape { get; }

    /// <summary>The memory it takes.</summary>
    public abstract long Bytes { get; }

    /// <summary>What it is, in a word or two, such as <c>Q8_0</c>.</summary>
    public abstract string Description { get; }

    /// <summary>Its parameters as the model's, with their names below the weight's; "" is the weight's own name.</summary>
    public abstract IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    /// <summary>W itself where it is one tensor as it stands, of whatever type, and <see cref="Apply"/> is
    /// <see cref="Op.Linear(Activations, Tensor, Tensor?)"/> of it and nothing else, for operations that are fused with it; else
    /// null.</summary>
    public virtual Tensor? AsTensor => null;

    /// <summary>Whether W is stored as F32 numbers, which something can be added to.</summary>
    public virtual bool IsWritable => false;

    /// <summary>W as one F32 tensor that may be changed.</summary>
    /// <exception cref="NotSupportedException">It is not <see cref="IsWritable"/>.</exception>
    public virtual Tensor Writable() => throw new NotSupportedException($"{Description} weights cannot be changed in place");

    /// <summary>See <see cref="Weight.Apply"/>.</summary>
    public abstract Tensor Apply(Activations x, Tensor? bias, ForwardContext context);

    /// <summary>See <see cref="Weight.ApplyGrouped"/>.</summary>
    public abstract Tensor ApplyGrouped(Activations x, Tensor offsets, ForwardContext context);

    /// <summary>See <see cref="Weight.ApplyPerHead"/>.</summary>
    public abstract Tensor ApplyPerHead(Tensor x, int first, int count, bool transposed);

    /// <summary>See <see cref="Weight.Rows"/>.</summary>
    public abstract Tensor Rows(Tensor ids, float scale);
}
