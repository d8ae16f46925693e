using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Cosines and sines of some positions alone, a row each, where a table of all would be made for one use
    /// (<see cref="Initial.Rotary"/> makes those that stay). No gradient.</summary>
    /// <param name="positions">I32, each 0 or above.</param>
    /// <param name="angles">By how much each pair turns from one position to the next, in radians.</param>
    /// <param name="magnitude">Multiplies both.</param>
    /// <returns>I32 of the positions' shape, the row of each; cosines [rows, pairs]; sines [rows, pairs].</returns>
    /// <exception cref="ShapeException">The positions are not I32, or one is before the first.</exception>
    public static (Tensor Rows, Tensor Cosines, Tensor Sines) RotaryRows(
        Tensor positions, ReadOnlySpan<double> angles, double magnitude = 1)
    {
        ShapeException.Require(positions.Type == ElementType.I32, "rotary positions", "positions", positions, "I32");
        var all = positions.Ints;
        foreach (var position in all)
            if (position < 0) throw new ShapeException($"rotary positions: position {position} is before the first");

        var rows = Tensor.Temporary(positions.Shape, ElementType.I32);
        var row = rows.Ints;
        for (var i = 0; i < row.Length; i++) row[i] = i;
        var (cosines, sines) = (Tensor.Temporary([all.Length, angles.Length]), Tensor.Temporary([all.Length, angles.Length]));
        RotaryAngles.Fill(all, all.Length, angles, magnitude, cosines.Floats, sines.Floats);
        GC.KeepAlive(positions);
        return (rows, cosines, sines);
    }
}
