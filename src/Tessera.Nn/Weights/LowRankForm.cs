using Tessera.Nn.Lora;
using Tessera.Tensors;

namespace Tessera.Nn.Weights;

/// <summary>
/// Another form W and what an adapter adds to it: <c>W + s · B A</c>, with W as it is and s · B A never formed. Costs r (inputs + outputs)
/// more for each product. The adapter's parameters are not among the weight's: they are saved beside the model.
/// <para>Hu et al. 2021, <see href="https://arxiv.org/abs/2106.09685"/>, section 4.1.</para>
/// </summary>
public sealed class LowRankForm : WeightForm
{
    private readonly float _scale;

    /// <summary>A form with an adapter.</summary>
    /// <exception cref="ArgumentException">The adapter is for another shape.</exception>
    public LowRankForm(WeightForm @base, LoraAdapter adapter)
    {
        if (adapter.Shape != @base.Shape)
            throw new ArgumentException($"an adapter of {adapter.Shape} does not fit a weight of {@base.Shape}");
        (Base, Adapter, _scale) = (@base, adapter, (float)adapter.Scale);
    }

    /// <summary>W.</summary>
    public WeightForm Base { get; }

    /// <summary>s, A and B.</summary>
    public LoraAdapter Adapter { get; }

    /// <inheritdoc/>
    public override Shape Shape => Base.Shape;

    /// <inheritdoc/>
    public override long Bytes => Base.Bytes + (sizeof(float) * (Down.Shape.Count + Up.Shape.Count));

    /// <inheritdoc/>
    public override string Description => $"{Base.Description} with an adapter of rank {Adapter.Rank}";

    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, Parameter Parameter)> Parameters => Base.Parameters;

    private Parameter Down => Adapter.Down;

    private Parameter Up => Adapter.Up;

    /// <inheritdoc/>
    public override Tensor Apply(Activations x, Tensor? bias, ForwardContext context)
    {
        var y = Base.Apply(x, bias, context);
        return Op.Add(y, Op.Linear(Op.Scale(Op.Linear(Dropped(x, context), Down.Value), _scale), Up.Value));
    }

    /// <inheritdoc/>
    public override Tensor ApplyGrouped(Activations x, Tensor offsets, ForwardContext context)
    {
        var y = Base.ApplyGrouped(x, offsets, context);
        var narrow = Op.GroupedLinear(Dropped(x, context), Down.Value, offsets);
        return Op.Add(y, Op.GroupedLinear(Op.Scale(narrow, _scale), Up.Value, offsets));
    }

    /// <inheritdoc/>
    /// <remarks>Rows of B A are rows of B times A: what W has per head B has too, and A is the same for all.</remarks>
    public override Tensor ApplyPerHead(Tensor x, int first, int count, bool transposed)
    {
        var y = Base.ApplyPerHead(x, first, count, transposed);
        var added = transposed
            ? Op.HeadLinear(Op.Scale(Op.Linear(x, Down.Value), _scale), Up.Value, first, count, transposed)
            : Op.Product(Op.Scale(Op.HeadLinear(x, Up.Value, first, count, transposed), _scale), Down.Value);
        return Op.Add(y, added);
    }

    /// <inheritdoc/>
    /// <remarks>Ids have nothing to drop, as in PEFT.</remarks>
    public override Tensor Rows(Tensor ids, float scale) =>
        Op.Add(Base.Rows(ids, scale), Op.Product(Op.Embedding(ids, Up.Value, scale * _scale), Down.Value));

    /// <summary>What A multiplies; the others that multiply x do not see what is dropped.</summary>
    private Tensor Dropped(Activations x, ForwardContext context) => context.Dropout(x.Tensor, Adapter.Dropout);
}
