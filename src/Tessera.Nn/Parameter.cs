using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>A trained tensor of a <see cref="Module"/>.</summary>
/// <param name="value">An owned F32 tensor that collects a gradient.</param>
/// <param name="decays">Whether weight decay applies: matrices, not biases and norms.</param>
public sealed class Parameter(Tensor value, bool decays)
{
    /// <summary>The weights, with their gradient.</summary>
    public Tensor Value { get; } = value;

    /// <summary>Whether weight decay applies.</summary>
    public bool Decays { get; } = decays;
}
