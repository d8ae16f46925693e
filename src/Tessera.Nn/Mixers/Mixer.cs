using System.Text.Json.Serialization;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;

namespace Tessera.Nn.Mixers;

/// <summary>Which tokens a mixer lets a token see.</summary>
public enum MixerRole
{
    /// <summary>Every token of its sequence: an encoder.</summary>
    Bidirectional,

    /// <summary>The token itself and what came before it: a decoder. Such a mixer can be cached.</summary>
    Causal,

    /// <summary>All tokens of another sequence, <see cref="ForwardContext.Memory"/>.</summary>
    Cross,
}

/// <summary>Options of a mixer; <c>"attention": { "kind": … }</c> in a recipe, or an entry of <c>"mixers"</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(MultiHeadOptions), "multi-head")]
[JsonDerivedType(typeof(LatentOptions), "latent")]
[JsonDerivedType(typeof(LstmMixerOptions), "lstm")]
[JsonDerivedType(typeof(GruMixerOptions), "gru")]
public abstract record MixerOptions
{
    /// <summary>Builds the part.</summary>
    /// <param name="part">Width of the hidden states, place in the recipe, random numbers.</param>
    /// <param name="role">Which tokens see one another.</param>
    /// <param name="memoryWidth">The width of <see cref="ForwardContext.Memory"/> for <see cref="MixerRole.Cross"/>.</param>
    /// <exception cref="RecipeException">An option is not allowed, or the mixer cannot have this role.</exception>
    public abstract Mixer Build(PartBuilder part, MixerRole role, int memoryWidth = 0);

    /// <summary>How a decoder of this mixer looks at another sequence unless that is said: a mixer that <see cref="MixerRole.Cross"/> is
    /// allowed for.</summary>
    /// <param name="width">The width of the hidden states.</param>
    public virtual MixerOptions ForCross(int width) => new MultiHeadOptions();

    /// <summary>What the part is called in its layer, which begins the names of its parameters.</summary>
    internal virtual string PartName => "mixer";

    /// <summary>The same options with every default said: two that are equal then make the same part.</summary>
    /// <param name="width">The width of the hidden states.</param>
    public virtual MixerOptions Canonical(int width) => this;
}

/// <summary>The base of everything that lets tokens see one another: softmax attention, recurrence, convolution, state spaces.</summary>
public abstract class Mixer : SubBlock;
