using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of <see cref="RotaryPositions"/>; <c>"kind": "rotary"</c> in a recipe.</summary>
/// <param name="Theta">The base of the wavelengths; greater than 1.</param>
/// <param name="Layout">Which elements of a head form a pair.</param>
/// <param name="Positions">How many positions are tabled: the longest sequence the part can see.</param>
public sealed record RotaryOptions(float Theta = 10000, RotaryLayout Layout = RotaryLayout.Halves, int Positions = 4096) : PositionOptions
{
    /// <inheritdoc/>
    public override PositionEncoding Build(PartBuilder part) => new RotaryPositions(this, part);
}

/// <summary>
/// Rotary positions: pair i of a query or key at position p is turned by <c>p · θ^(−2i/width)</c>, so that the product of a
/// query and a key depends on their distance alone.
/// <para>Su et al. 2021, <see href="https://arxiv.org/abs/2104.09864"/>.</para>
/// </summary>
public sealed class RotaryPositions : PositionEncoding
{
    private const int MostPositions = 1 << 20;
    private readonly RotaryLayout _layout;
    private readonly Tensor _cosines;
    private readonly Tensor _sines;

    internal RotaryPositions(RotaryOptions options, PartBuilder part)
    {
        part.Require(options.Theta > 1, "theta", options.Theta, "greater than 1");
        part.Require(options.Positions is > 0 and <= MostPositions, "positions", options.Positions, $"1 to {MostPositions}");
        part.Require(part.Width % 2 == 0, "width", part.Width, "an even width of a head");
        _layout = options.Layout;
        var pairs = part.Width / 2;
        (_cosines, _sines) = (Tensor.Allocate([options.Positions, pairs]), Tensor.Allocate([options.Positions, pairs]));
        for (var position = 0; position < options.Positions; position++)
        {
            for (var pair = 0; pair < pairs; pair++)
            {
                var angle = position * Math.Pow(options.Theta, -2.0 * pair / part.Width);
                _cosines.Floats[(position * pairs) + pair] = (float)Math.Cos(angle);
                _sines.Floats[(position * pairs) + pair] = (float)Math.Sin(angle);
            }
        }
    }

    /// <inheritdoc/>
    public override bool ActsOnEmbeddings => false;

    /// <inheritdoc/>
    public override int Positions => _cosines.Shape[0];

    /// <inheritdoc/>
    public override Tensor Mark(Tensor x, Step step) => Op.Rotate(x, step.Positions, _cosines, _sines, _layout);
}
