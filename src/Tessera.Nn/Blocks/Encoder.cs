using System.Text.Json.Serialization;
using Tessera.Nn.Recurrence;
using Tessera.Tensors;

namespace Tessera.Nn.Blocks;

/// <summary>Options of what reads a source sequence; <c>"encoder": { "kind": … }</c> in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(TransformerOptions), "transformer")]
[JsonDerivedType(typeof(LstmOptions), "lstm")]
[JsonDerivedType(typeof(GruOptions), "gru")]
public abstract record EncoderOptions
{
    /// <summary>Builds the part for inputs of the builder's width.</summary>
    public abstract Encoder Build(PartBuilder part);
}

/// <summary>Reads a whole sequence and gives a vector for each of its tokens.</summary>
public abstract class Encoder : Module
{
    /// <summary>The width of what comes out.</summary>
    public abstract int OutputWidth { get; }

    /// <summary>[batch, length, width] to [batch, length, <see cref="OutputWidth"/>]. What comes out beyond a row's
    /// <see cref="ForwardContext.Lengths"/> means nothing.</summary>
    public abstract Tensor Forward(Tensor x, ForwardContext context);
}
