using System.Text.Json.Serialization;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;

namespace Tessera.Nn.FeedForward;

/// <summary>Options of a feed-forward part; <c>"feedForward": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SwiGluOptions), "swiglu")]
[JsonDerivedType(typeof(GeGluOptions), "geglu")]
[JsonDerivedType(typeof(GeGluTanhOptions), "geglu-tanh")]
[JsonDerivedType(typeof(ReGluOptions), "reglu")]
[JsonDerivedType(typeof(GluOptions), "glu")]
[JsonDerivedType(typeof(ClampedSwiGluOptions), "clamped-swiglu")]
[JsonDerivedType(typeof(GeluOptions), "gelu")]
[JsonDerivedType(typeof(GeluTanhOptions), "gelu-tanh")]
[JsonDerivedType(typeof(SiluOptions), "silu")]
[JsonDerivedType(typeof(ReluOptions), "relu")]
[JsonDerivedType(typeof(ReluSquaredOptions), "relu-squared")]
[JsonDerivedType(typeof(TanhOptions), "tanh")]
[JsonDerivedType(typeof(SigmoidOptions), "sigmoid")]
[JsonDerivedType(typeof(ExpertsOptions), "experts")]
public abstract record FeedForwardOptions
{
    /// <summary>The same options with all said that is left to their surroundings.</summary>
    /// <param name="width">The width of the tokens.</param>
    public virtual FeedForwardOptions At(int width) => this;

    /// <summary>Builds the part.</summary>
    public abstract FeedForward Build(PartBuilder part);
}

/// <summary>What a layer computes for each token on its own.</summary>
public abstract class FeedForward : SubBlock;
