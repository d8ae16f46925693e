using Tessera.Tensors;

namespace Tessera.Nn.Lora;

/// <summary>
/// What is added to a linear map W that is kept as it is: <c>s · B A x</c>, with A [r, inputs] and B [outputs, r] of low rank. B is 0
/// at first, so that nothing has changed before training. r (inputs + outputs) weights instead of inputs · outputs.
/// <para>Hu et al. 2021, <see href="https://arxiv.org/abs/2106.09685"/>, section 4.1.</para>
/// </summary>
public sealed class LoraAdapter : Module
{
    private readonly Parameter _down;
    private readonly Parameter _up;

    /// <summary>An adapter that changes nothing yet.</summary>
    /// <param name="part">The width of what it reads, and where A comes from.</param>
    /// <param name="outputs">The width of what it gives.</param>
    /// <param name="rank">r, at least 1.</param>
    /// <param name="scale">s.</param>
    /// <param name="dropout">The share of the inputs that is dropped while training.</param>
    public LoraAdapter(PartBuilder part, int outputs, int rank, double scale, float dropout = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        (Scale, Dropout) = (scale, dropout);
        _down = Own("lora_A.weight", part.Matrix("lora_A", rank, part.Width));
        _up = Own("lora_B.weight", part.Normal("lora_B", [outputs, rank], deviation: 0));
    }

    /// <summary>s.</summary>
    public double Scale { get; }

    /// <summary>The share of the inputs that is dropped while training.</summary>
    public float Dropout { get; }

    /// <summary>r.</summary>
    public int Rank => _down.Shape[0];

    /// <summary>A: [r, inputs].</summary>
    public Parameter Down => _down;

    /// <summary>B: [outputs, r].</summary>
    public Parameter Up => _up;

    /// <summary>Maps [..., inputs] to what is to be added to [..., outputs].</summary>
    public Tensor Forward(Tensor x, ForwardContext context) =>
        Op.Linear(Op.Scale(Op.Linear(context.Dropout(x, Dropout), _down.Value), (float)Scale), _up.Value);

    /// <summary>Adds s · B A to a weight.</summary>
    /// <param name="weight">F32 [outputs, inputs], owned.</param>
    internal void AddTo(Tensor weight)
    {
        using var scope = Arena.Current.Scope();
        using var pause = Tape.Pause();
        var (rank, inputs) = (Rank, _down.Shape[1]);
        var turned = Tensor.Temporary([inputs, rank]);
        for (var column = 0; column < inputs; column++)
            for (var row = 0; row < rank; row++) turned.Floats[(column * rank) + row] = (float)(Scale * _down.Value.Floats[(row * inputs) + column]);
        Op.Add(weight, Op.Linear(_up.Value, turned)).Floats.CopyTo(weight.Floats);
    }
}
