using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of a position encoding; <c>"position": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(RotaryOptions), "rotary")]
[JsonDerivedType(typeof(SinusoidalOptions), "sinusoidal")]
[JsonDerivedType(typeof(LearnedOptions), "learned")]
[JsonDerivedType(typeof(AlibiOptions), "alibi")]
[JsonDerivedType(typeof(RelativePositionBiasOptions), "relative-bias")]
public abstract record PositionOptions
{
    /// <summary>Builds the part for vectors of the builder's width: of the stream for encodings that are added to
    /// embeddings, of one head for those that turn queries and keys.</summary>
    /// <param name="part">Width, place in the recipe, random numbers.</param>
    /// <param name="heads">The query heads of the attention it belongs to.</param>
    public abstract PositionEncoding Build(PartBuilder part, int heads = 1);

    /// <summary>Whether all layers of a stack that have these options have one part, the first layer's.</summary>
    internal virtual bool IsShared => false;
}

/// <summary>How a model knows where a token stands. An encoding acts at one place: on the embeddings of a stack, on the
/// queries and keys of an attention, or on its scores; at the others it does nothing.</summary>
public abstract class PositionEncoding : Module
{
    /// <summary>Whether the encoding is added to embeddings (and so belongs to a stack, not to an attention).</summary>
    public abstract bool ActsOnEmbeddings { get; }

    /// <summary>How many positions the encoding knows: the longest sequence it can mark.</summary>
    public abstract int Positions { get; }

    /// <summary>Whether positions stay marked as they are where a sequence grows; else all that was computed of it has to be computed
    /// anew.</summary>
    /// <param name="before">Its length, at least 1.</param>
    /// <param name="after">Its length then.</param>
    public virtual bool Stays(int before, int after) => true;

    /// <summary>Whether <see cref="Stays"/> says yes whatever the lengths.</summary>
    public virtual bool AlwaysStays => true;

    /// <summary>Does beforehand what sequences of up to <paramref name="length"/> tokens need done once, so that decoding need
    /// not.</summary>
    public virtual void Prepare(int length)
    {
    }

    /// <summary>Makes, once for all layers of a pass, what they share.</summary>
    public virtual void Prepare(ForwardContext context)
    {
    }

    /// <summary>Adds positions to embeddings [batch, length, width].</summary>
    public virtual Tensor Embed(Tensor x, ForwardContext context) => x;

    /// <summary>Marks queries or keys [batch, length, heads, width] with their positions.</summary>
    public virtual Tensor Mark(Tensor x, ForwardContext context) => x;

    /// <summary>What distances add to the scores of each head, for <see cref="AttentionSettings.Bias"/>; null where the encoding does
    /// not act on scores. Attention evaluates it where it stands in the sequence: there is nothing to give it but the direction.</summary>
    /// <param name="bidirectional">Whether queries see keys after them.</param>
    public virtual ScoreBias? Bias(bool bidirectional) => null;
}
