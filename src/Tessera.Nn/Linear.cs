using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary><c>y = x Wᵀ + b</c>: [outputs, inputs] weights under the names <c>weight</c> and <c>bias</c>.</summary>
public sealed class Linear : Module
{
    private readonly Parameter? _bias;

    /// <summary>A linear map with random weights.</summary>
    /// <param name="part">Where the weights come from.</param>
    /// <param name="inputs">The width of x.</param>
    /// <param name="outputs">The width of y.</param>
    /// <param name="bias">Whether there is a bias, 0 at first.</param>
    /// <param name="deviation">Of the initial weights; 1/√inputs unless said.</param>
    /// <param name="mayBeStored">Whether the weights may be stored in fewer bits (<see cref="Parameter.MayBeStored"/>); routers want
    /// theirs exact.</param>
    public Linear(PartBuilder part, int inputs, int outputs, bool bias = false, double? deviation = null, bool mayBeStored = true)
    {
        Weight = Own("weight", new Weight(part.Matrix("weight", outputs, inputs, deviation, mayBeStored)));
        if (bias) _bias = Own("bias", PartBuilder.Constant(outputs, 0));
    }

    /// <summary>The width of x.</summary>
    public int Inputs => Weight.Inputs;

    /// <summary>The width of y.</summary>
    public int Outputs => Weight.Outputs;

    /// <summary>W: [outputs, inputs].</summary>
    public Weight Weight { get; }

    /// <summary>Weight and bias, for operations that are made of several maps or fused with them; null where the weight is not one
    /// tensor.</summary>
    internal LinearMap? Map => Weight.AsTensor is { } weight ? new LinearMap(weight, _bias?.Value) : null;

    /// <summary>The same, where the weight is F32.</summary>
    internal LinearMap? FloatMap => Map is { Weight.Type: ElementType.F32 } map ? map : null;

    /// <summary>Maps [..., inputs] to [..., outputs].</summary>
    public Tensor Forward(Tensor x, ForwardContext context)
    {
        using var alone = Activations.Of(x);
        return Forward(alone, context);
    }

    /// <summary>Maps [..., inputs] to [..., outputs], of an x that other maps read too.</summary>
    public Tensor Forward(Activations x, ForwardContext context) => Weight.Apply(x, _bias?.Value, context);

    /// <summary>Two maps of one x, in one pass over the threads where there are few rows.</summary>
    /// <param name="x">[..., inputs].</param>
    /// <param name="first">A map.</param>
    /// <param name="second">Another.</param>
    /// <param name="context">Whether it trains.</param>
    /// <returns>[..., outputs] of each.</returns>
    public static (Tensor First, Tensor Second) Forward(Activations x, Linear first, Linear second, ForwardContext context) =>
        first.Map is { } one && second.Map is { } two
            ? Op.Linear(x, one, two)
            : (first.Forward(x, context), second.Forward(x, context));

    /// <summary>Three maps of one x, as queries, keys and values are, in one pass over the threads where there are few rows.</summary>
    /// <param name="x">[..., inputs].</param>
    /// <param name="first">A map.</param>
    /// <param name="second">Another.</param>
    /// <param name="third">A third.</param>
    /// <param name="context">Whether it trains.</param>
    /// <returns>[..., outputs] of each.</returns>
    public static (Tensor First, Tensor Second, Tensor Third) Forward(
        Activations x, Linear first, Linear second, Linear third, ForwardContext context) =>
        first.Map is { } one && second.Map is { } two && third.Map is { } three
            ? Op.Linear(x, one, two, three)
            : (first.Forward(x, context), second.Forward(x, context), third.Forward(x, context));
}
