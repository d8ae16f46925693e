using Tessera.Nn.Weights;
using Tessera.Tensors;

namespace Tessera.Nn.Lora;

/// <summary>
/// What is added to a weight W that is kept as it is (<see cref="LowRankForm"/>): <c>s · B A</c>, with A [r, inputs] and B [outputs, r] of
/// low rank, or as many of each as W has groups. B is 0 at first, so that nothing has changed before training. r (inputs + outputs)
/// weights instead of inputs · outputs.
/// <para>Hu et al. 2021, <see href="https://arxiv.org/abs/2106.09685"/>, section 4.1.</para>
/// </summary>
public sealed class LoraAdapter : Module
{
    private readonly Parameter _down;
    private readonly Parameter _up;

    /// <summary>An adapter that changes nothing yet.</summary>
    /// <param name="part">Where A comes from.</param>
    /// <param name="weight">The shape of W: [outputs, inputs] or [groups, outputs, inputs].</param>
    /// <param name="rank">r, at least 1.</param>
    /// <param name="scale">s.</param>
    /// <param name="dropout">The share of the inputs that is dropped while training; of looked-up rows none is.</param>
    public LoraAdapter(PartBuilder part, Shape weight, int rank, double scale, float dropout = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        (Shape, Rank, Scale, Dropout) = (weight, rank, scale, dropout);
        var (outputs, inputs) = (weight[weight.Rank - 2], weight[weight.Rank - 1]);
        _down = Own("lora_A.weight", part.Normal("lora_A", Each(rank, inputs), 1 / Math.Sqrt(inputs)));
        _up = Own("lora_B.weight", part.Normal("lora_B", Each(outputs, rank), deviation: 0));

        Shape Each(int rows, int columns) => weight.Rank == 3 ? new Shape(weight[0], rows, columns) : new Shape(rows, columns);
    }

    /// <summary>The shape of W.</summary>
    public Shape Shape { get; }

    /// <summary>s.</summary>
    public double Scale { get; }

    /// <summary>The share of the inputs that is dropped while training.</summary>
    public float Dropout { get; }

    /// <summary>r.</summary>
    public int Rank { get; }

    /// <summary>A: [r, inputs] or [groups, r, inputs].</summary>
    public Parameter Down => _down;

    /// <summary>B: [outputs, r] or [groups, outputs, r].</summary>
    public Parameter Up => _up;

    /// <summary>Adds s · B A to a weight.</summary>
    /// <param name="weight">F32, owned, of <see cref="Shape"/>.</param>
    internal void AddTo(Tensor weight)
    {
        using var scope = Arena.Current.Scope();
        using var pause = Tape.Pause();
        Op.AddProduct(weight, _up.Value, Op.Scale(_down.Value, (float)Scale));
    }
}
