using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

/// <summary>What a layer computes between two additions to the hidden states: a mixer or a feed-forward.</summary>
public abstract class SubBlock : Module
{
    /// <summary>[batch, length, width] to the same shape.</summary>
    /// <param name="x">Hidden states, normalised where the layer does that before.</param>
    /// <param name="context">Where the tokens stand and what was cached.</param>
    public abstract Tensor Forward(Tensor x, ForwardContext context);

    /// <summary>Makes, once for all layers of a pass, what layers with the same options share: masks, tables of positions.</summary>
    /// <param name="context">Keeps it.</param>
    public virtual void Prepare(ForwardContext context)
    {
    }
}
