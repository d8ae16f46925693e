using Tessera.Nn.Lora;
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

    /// <summary>The width of x.</summary>
    public int Inputs => _weight.Shape[1];

    /// <summary>The width of y.</summary>
    public int Outputs => _weight.Shape[0];

    /// <summary>W: [outputs, inputs].</summary>
    public Parameter Weight => _weight;

    /// <summary>What is added to the map; none where null.</summary>
    public LoraAdapter? Adapter { get; private set; }

    /// <summary>Maps [..., inputs] to [..., outputs].</summary>
    public Tensor Forward(Tensor x, ForwardContext context)
    {
        var y = Op.Linear(x, _weight.Value, _bias?.Value);
        return Adapter is null ? y : Op.Add(y, Adapter.Forward(x, context));
    }

    /// <summary>Gives the map an adapter.</summary>
    /// <exception cref="ArgumentException">It has one.</exception>
    internal void Adapt(LoraAdapter adapter) => Adapter = Adapter is null ? adapter : throw new ArgumentException("the map has an adapter already");

    /// <summary>Adds what the adapter computes to the weight.</summary>
    internal void Merge()
    {
        Adapter?.AddTo(_weight.Writable());
        Adapter = null;
    }
}
