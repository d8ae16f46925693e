using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>A tensor of a <see cref="Module"/> that is saved with it: trained, or changed by its part alone.</summary>
/// <param name="value">An owned F32 tensor, which collects a gradient where it is trained.</param>
/// <param name="decays">Whether weight decay applies: matrices, not biases and norms.</param>
public sealed class Parameter(Tensor value, bool decays)
{
    /// <summary>The weights, with their gradient.</summary>
    public Tensor Value { get; } = value;

    /// <summary>Whether an optimizer may change it: whether it collects a gradient.</summary>
    public bool IsTrained => Value.RequiresGradient;

    /// <summary>Whether weight decay applies.</summary>
    public bool Decays { get; } = decays;
}
