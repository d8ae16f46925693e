using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of <see cref="LearnedPositions"/>; <c>"kind": "learned"</c> in a recipe.</summary>
/// <param name="Positions">How many positions there are: the longest sequence the part can see; 1 to 1,048,576.</param>
public sealed record LearnedOptions(int Positions = 1024) : PositionOptions
{
    /// <inheritdoc/>
    public override PositionEncoding Build(PartBuilder part, int heads = 1) => new LearnedPositions(this, part);
}

/// <summary>
/// A trained vector for each position, added to embeddings.
/// <para>Gehring et al. 2017, <see href="https://arxiv.org/abs/1705.03122"/>; Radford et al. 2018 (GPT).</para>
/// </summary>
public sealed class LearnedPositions : PositionEncoding
{
    private const int MaxPositions = 1 << 20;
    private const double Deviation = 0.02;
    private readonly Parameter _table;

    internal LearnedPositions(LearnedOptions options, PartBuilder part)
    {
        part.Require(options.Positions is > 0 and <= MaxPositions, "positions", options.Positions, $"1 to {MaxPositions}");
        _table = Own("weight", part.Matrix("weight", options.Positions, part.Width, Deviation));
    }

    /// <inheritdoc/>
    public override bool ActsOnEmbeddings => true;

    /// <inheritdoc/>
    public override int Positions => _table.Shape[0];

    /// <inheritdoc/>
    public override Tensor Embed(Tensor x, ForwardContext context) => Op.Add(x, Op.Embedding(context.Positions, _table.Value));

    /// <inheritdoc/>
    protected override long ActiveWeights(Parameter parameter) => parameter.Shape.Width;

    /// <inheritdoc/>
    public override double FlopsPerToken(int length) => 0;
}
