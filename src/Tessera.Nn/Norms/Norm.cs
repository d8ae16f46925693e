using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Nn.Norms;

/// <summary>Options of a normalisation; <c>"norm": { "kind": … }</c> in a recipe.</summary>
/// <param name="Epsilon">Added to the variance; greater than 0.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(RmsNormOptions), "rms")]
[JsonDerivedType(typeof(LayerNormOptions), "layer")]
public abstract record NormOptions(float Epsilon)
{
    /// <summary>Builds the part.</summary>
    public abstract Norm Build(PartBuilder part);
}

/// <summary>Normalises the vectors of a stream over their width.</summary>
public abstract class Norm : Module
{
    /// <summary>[..., width] to the same shape.</summary>
    public abstract Tensor Forward(Tensor x);

    /// <summary>A tensor of ones, until the scope ends.</summary>
    private protected static Tensor Ones(Shape shape)
    {
        var ones = Tensor.Temporary(shape);
        Op.Fill(ones, 1);
        return ones;
    }
}
