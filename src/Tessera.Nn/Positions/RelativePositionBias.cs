using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of <see cref="RelativePositionBias"/>; <c>"kind": "relative-bias"</c> in a recipe.</summary>
/// <param name="Buckets">How many groups of distances there are; 4 to 65,536.</param>
/// <param name="MaxDistance">From this distance on all share the last bucket; more than a bucket for each distance, Buckets / 2.</param>
/// <param name="Shared">Whether the layers of a stack have one table, the first layer's, as T5's have.</param>
public sealed record RelativePositionBiasOptions(int Buckets = 32, int MaxDistance = 128, bool Shared = false) : PositionOptions
{
    /// <inheritdoc/>
    internal override bool IsShared => Shared;

    /// <inheritdoc/>
    public override PositionEncoding Build(PartBuilder part, int heads = 1) => new RelativePositionBias(this, part, heads);
}

/// <summary>
/// T5's relative positions: a trained score for each head and each bucket of distances, the near ones one by one, the far ones
/// in logarithmic steps. Where tokens see both sides, half of the buckets are for keys after the query.
/// <para>Raffel et al. 2019, <see href="https://arxiv.org/abs/1910.10683"/>, section 2.1.</para>
/// </summary>
public sealed class RelativePositionBias : PositionEncoding
{
    private const double Deviation = 0.02;
    private readonly RelativePositionBiasOptions _options;
    private readonly Parameter _table;

    internal RelativePositionBias(RelativePositionBiasOptions options, PartBuilder part, int heads)
    {
        part.Require(options.Buckets is >= 4 and <= 65536, "buckets", options.Buckets, "4 to 65536");
        part.Require(
            options.MaxDistance > options.Buckets / 2, "maxDistance", options.MaxDistance, $"more than buckets / 2, {options.Buckets / 2}");
        _options = options;
        _table = Own("weight", part.Matrix("weight", options.Buckets, heads, Deviation));
    }

    /// <inheritdoc/>
    public override bool ActsOnEmbeddings => false;

    /// <inheritdoc/>
    public override int Positions => int.MaxValue;

    /// <inheritdoc/>
    public override ScoreBias Bias(bool bidirectional) => ScoreBias.Buckets(_table.Value, _options.MaxDistance, bidirectional);

    /// <inheritdoc/>
    public override double FlopsPerToken(int length) => 0;
}
