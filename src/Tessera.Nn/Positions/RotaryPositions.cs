using Tessera.Tensors;

namespace Tessera.Nn.Positions;

/// <summary>Options of <see cref="RotaryPositions"/>; <c>"kind": "rotary"</c> in a recipe.</summary>
/// <param name="Theta">The base of the wavelengths; greater than 1.</param>
/// <param name="Layout">Which elements of a head form a pair.</param>
/// <param name="Positions">The longest sequence the model is meant for; 1 to 16,777,216. Longer ones can be marked all the same.</param>
public sealed record RotaryOptions(float Theta = 10000, RotaryLayout Layout = RotaryLayout.Halves, int Positions = 4096) : PositionOptions
{
    /// <summary>How many elements of a head are turned, the first ones; even. All where null.</summary>
    public int? Width { get; init; }

    /// <summary>How positions are stretched to longer sequences than those of the first training; not where null.</summary>
    public RotaryScaling? Scaling { get; init; }

    /// <inheritdoc/>
    public override PositionEncoding Build(PartBuilder part, int heads = 1) => new RotaryPositions(this, part);
}

/// <summary>
/// Rotary positions: pair i of a query or key at position p is turned by <c>p · θ^(−2i/width)</c>, so that the product of a
/// query and a key depends on their distance alone.
/// <para>Su et al. 2021, <see href="https://arxiv.org/abs/2104.09864"/>.</para>
/// </summary>
public sealed class RotaryPositions : PositionEncoding
{
    private const int MaxPositions = 1 << 24;
    private readonly RotaryLayout _layout;
    private readonly RotaryScaling? _scaling;
    private readonly RotaryTables _tables;

    internal RotaryPositions(RotaryOptions options, PartBuilder part)
    {
        part.Require(options.Theta > 1, "theta", options.Theta, "greater than 1");
        part.Require(options.Positions is > 0 and <= MaxPositions, "positions", options.Positions, $"1 to {MaxPositions}");
        var width = options.Width ?? part.Width;
        part.Require(
            width is >= 2 && width <= part.Width && width % 2 == 0, "width", width,
            $"an even number up to the width of a head, {part.Width}");
        options.Scaling?.Check(part, width / 2);
        (_layout, _scaling, Positions, _tables) = (options.Layout, options.Scaling, options.Positions, RotaryTables.Of(options, width / 2));
    }

    /// <inheritdoc/>
    public override bool ActsOnEmbeddings => false;

    /// <inheritdoc/>
    public override bool AlwaysStays => Stays(1, int.MaxValue);

    /// <inheritdoc/>
    public override int Positions { get; }

    /// <inheritdoc/>
    public override bool Stays(int before, int after) => _scaling is null || before >= _scaling.SameFor(after).Shortest;

    /// <inheritdoc/>
    public override void Prepare(int length) => _tables.Prepare(Math.Min(length, Positions));

    /// <inheritdoc/>
    public override Tensor Mark(Tensor x, ForwardContext context)
    {
        var table = context.Rotary(_tables);
        return Op.Rotate(x, table.Rows, table.Cosines, table.Sines, _layout);
    }

    /// <inheritdoc/>
    public override void Prepare(ForwardContext context) => context.Rotary(_tables);
}
