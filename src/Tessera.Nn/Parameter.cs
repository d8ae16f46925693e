using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>A tensor of a <see cref="Module"/> that is saved with it: trained, or changed by its part alone.</summary>
/// <param name="value">An owned F32 tensor, which collects a gradient where it is trained.</param>
/// <param name="decays">Whether weight decay applies: matrices, not biases and norms.</param>
public sealed class Parameter(Tensor value, bool decays)
{
    /// <summary>The weights, with their gradient.</summary>
    public Tensor Value { get; } = value;

    /// <summary>Whether an optimizer may change it.</summary>
    public bool IsTrained { get; } = value.RequiresGradient;

    /// <summary>Whether it stays as it is for now: its gradient is neither computed nor kept, and its part does not change it.</summary>
    public bool IsFrozen
    {
        get;
        set
        {
            field = value;
            if (!IsTrained) return;
            if (value) Value.DropGradient();
            else Value.WithGradient();
        }
    }

    /// <summary>Whether weight decay applies.</summary>
    public bool Decays { get; } = decays;
}
