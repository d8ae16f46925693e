using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>What an attention is for.</summary>
public enum AttentionRole
{
    /// <summary>Every token sees every token of its sequence: an encoder.</summary>
    Bidirectional,

    /// <summary>A token sees itself and what came before: a decoder. Such attention can be cached.</summary>
    Causal,

    /// <summary>A token sees all of another sequence, <see cref="ForwardContext.Memory"/>.</summary>
    Cross,
}

/// <summary>Options of an attention; <c>"attention": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(MultiHeadOptions), "multi-head")]
[JsonDerivedType(typeof(SlidingWindowOptions), "sliding-window")]
[JsonDerivedType(typeof(LatentOptions), "latent")]
public abstract record AttentionOptions
{
    /// <summary>Builds the part.</summary>
    /// <param name="part">Width of the stream, place in the recipe, random numbers.</param>
    /// <param name="role">What the attention is for.</param>
    /// <param name="memoryWidth">The width of <see cref="ForwardContext.Memory"/> for <see cref="AttentionRole.Cross"/>.</param>
    public abstract Attention Build(PartBuilder part, AttentionRole role, int memoryWidth = 0);
}

/// <summary>How tokens look at one another.</summary>
public abstract class Attention : Module
{
    /// <summary>[batch, length, width] to the same shape.</summary>
    public abstract Tensor Forward(Tensor x, ForwardContext context);
}
