using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of <see cref="SinusoidalPositions"/>; <c>"kind": "sinusoidal"</c> in a recipe.</summary>
/// <param name="Positions">How many positions are tabled: the longest sequence the part can see.</param>
public sealed record SinusoidalOptions(int Positions = 4096) : PositionOptions
{
    /// <inheritdoc/>
    public override PositionEncoding Build(PartBuilder part, int heads = 1) => new SinusoidalPositions(this, part);
}

/// <summary>
/// Fixed sinusoids added to embeddings: element 2i of position p is <c>sin(p / 10000^(2i/width))</c>, element 2i + 1 the
/// cosine.
/// <para>Vaswani et al. 2017, <see href="https://arxiv.org/abs/1706.03762"/>, section 3.5.</para>
/// </summary>
public sealed class SinusoidalPositions : PositionEncoding
{
    private const int MaxPositions = 1 << 20;

    internal SinusoidalPositions(SinusoidalOptions options, PartBuilder part)
    {
        part.Require(options.Positions is > 0 and <= MaxPositions, "positions", options.Positions, $"1 to {MaxPositions}");
        Table = Initial.Sinusoids(options.Positions, part.Width);
    }

    /// <inheritdoc/>
    public override bool ActsOnEmbeddings => true;

    /// <inheritdoc/>
    public override int Positions => Table.Shape[0];

    /// <summary>[positions, width].</summary>
    internal Tensor Table { get; }

    /// <inheritdoc/>
    public override Tensor Embed(Tensor x, ForwardContext context) => Op.Add(x, Op.Embedding(context.Positions, Table));
}
