using System.Text.Json.Serialization;
using Tessera.Nn.Mixers;
using Tessera.Tensors;

namespace Tessera.Nn.Attention.Patterns;

/// <summary>What a pattern needs to know of the attention it belongs to.</summary>
/// <param name="Role">Which tokens the attention lets a token see; the pattern narrows it.</param>
/// <param name="Length">The longest sequence the model is meant for, in tokens.</param>
public readonly record struct PatternContext(MixerRole Role, int Length);

/// <summary>Which keys a query of softmax attention looks at; <c>"pattern": { "kind": … }</c> in an attention of a recipe. A pattern only
/// draws a mask: its cost is the number of tiles of 64 × 64 that the mask touches.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(FullPattern), "full")]
[JsonDerivedType(typeof(WindowPattern), "window")]
[JsonDerivedType(typeof(DilatedPattern), "dilated")]
[JsonDerivedType(typeof(StridedPattern), "strided")]
[JsonDerivedType(typeof(ChunkedPattern), "chunked")]
public abstract record AttentionPattern
{
    /// <summary>Narrows a mask of all pairs that the role allows: earlier keys where causal, real ones where padded.</summary>
    /// <param name="mask">Queries by keys; key j has position j of its sequence.</param>
    /// <param name="context">Role and length.</param>
    public abstract BlockMask Narrow(BlockMask mask, PatternContext context);

    /// <summary>Which keys decoding has to keep.</summary>
    /// <param name="context">Role and length.</param>
    public virtual KeptTokens Keeps(PatternContext context) => KeptTokens.All;

    /// <summary>How many keys a query of a sequence sees on average, for the count of operations.</summary>
    /// <param name="length">Tokens of the sequence.</param>
    /// <param name="context">Role and length.</param>
    public abstract double MeanVisibleKeys(int length, PatternContext context);

    /// <summary>Throws where an option is not allowed.</summary>
    /// <param name="part">The pattern's place in the recipe.</param>
    /// <param name="role">What the attention is for.</param>
    /// <exception cref="RecipeException">It is not.</exception>
    public virtual void Check(PartBuilder part, MixerRole role)
    {
    }

    /// <summary>Throws for a pattern of distances in cross-attention, where queries and keys count different texts.</summary>
    protected static void RequireSelf(PartBuilder part, MixerRole role, string kind) =>
        part.Require(role != MixerRole.Cross, "kind", kind, "full, for cross-attention");
}

/// <summary>Which of the keys of a growing sequence are still looked at.</summary>
/// <param name="Window">The last ones, so many; all where null.</param>
/// <param name="First">And the first ones, so many.</param>
public readonly record struct KeptTokens(int? Window, int First = 0)
{
    /// <summary>Every key.</summary>
    public static KeptTokens All => default;
}
