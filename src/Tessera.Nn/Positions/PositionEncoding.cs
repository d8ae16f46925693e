using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of a position encoding; <c>"position": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(RotaryOptions), "rotary")]
[JsonDerivedType(typeof(SinusoidalOptions), "sinusoidal")]
[JsonDerivedType(typeof(LearnedOptions), "learned")]
public abstract record PositionOptions
{
    /// <summary>Builds the part for vectors of the builder's width: of the stream for encodings that are added to
    /// embeddings, of one head for those that turn queries and keys.</summary>
    public abstract PositionEncoding Build(PartBuilder part);
}

/// <summary>How a model knows where a token stands. An encoding acts at one place: on the embeddings of a stack, or on
/// the queries and keys of an attention; at the other it does nothing.</summary>
public abstract class PositionEncoding : Module
{
    /// <summary>Whether the encoding is added to embeddings (and so belongs to a stack, not to an attention).</summary>
    public abstract bool ActsOnEmbeddings { get; }

    /// <summary>How many positions the encoding knows: the longest sequence it can mark.</summary>
    public abstract int Positions { get; }

    /// <summary>Adds positions to embeddings [batch, length, width].</summary>
    public virtual Tensor Embed(Tensor x, Step step) => x;

    /// <summary>Marks queries or keys [batch, length, heads, width] with their positions.</summary>
    public virtual Tensor Mark(Tensor x, Step step) => x;
}
