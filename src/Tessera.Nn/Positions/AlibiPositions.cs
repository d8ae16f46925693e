using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of <see cref="AlibiPositions"/>; <c>"kind": "alibi"</c> in a recipe.</summary>
/// <param name="Learned">Whether the slopes are trained, from the fixed ones on.</param>
public sealed record AlibiOptions(bool Learned = false) : PositionOptions
{
    /// <inheritdoc/>
    public override PositionEncoding Build(PartBuilder part, int heads = 1) => new AlibiPositions(this, heads);
}

/// <summary>
/// Attention with linear biases: the score of a key at distance d is lowered by <c>slope · d</c>, with a slope for each head,
/// <c>2^(−8h/heads)</c> for heads h = 1, 2 … where their number is a power of two. No longest sequence; no parameters, or one a head,
/// <c>slopes</c>, where they are learned.
/// <para>Press, Smith, Lewis 2021, <see href="https://arxiv.org/abs/2108.12409"/>.</para>
/// </summary>
public sealed class AlibiPositions : PositionEncoding
{
    private readonly Tensor? _fixed;
    private readonly Parameter? _learned;

    internal AlibiPositions(AlibiOptions options, int heads)
    {
        if (options.Learned)
            _learned = Own("slopes", new Parameter([heads], decays: false, isTrained: true, () => Initial.LinearBiasSlopes(heads)));
        else _fixed = Initial.LinearBiasSlopes(heads);
    }

    /// <summary>How much a score falls from one position to the next, for each head: F32 [heads].</summary>
    public Tensor Slopes => _fixed ?? _learned!.Value;

    /// <inheritdoc/>
    public override bool ActsOnEmbeddings => false;

    /// <inheritdoc/>
    public override int Positions => int.MaxValue;

    /// <inheritdoc/>
    public override ScoreBias Bias(bool bidirectional) => ScoreBias.Linear(Slopes);
}
