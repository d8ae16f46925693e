using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary><c>y = x Wᵀ + b</c>: [outputs, inputs] weights under the names <c>weight</c> and <c>bias</c>.</summary>
public sealed class Linear : Module
{
    private readonly Parameter _weight;
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
        _weight = Own("weight", part.Matrix("weight", outputs, inputs, deviation, mayBeStored));
        if (bias) _bias = Own("bias", PartBuilder.Constant(outputs, 0));
    }

    /// <summary>Maps [..., inputs] to [..., outputs].</summary>
    public Tensor Forward(Tensor x) => Op.Linear(x, _weight.Value, _bias?.Value);
}
