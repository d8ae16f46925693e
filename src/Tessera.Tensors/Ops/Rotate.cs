using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>Which elements of a head form the pairs that rotary positions turn.</summary>
public enum RotaryLayout
{
    /// <summary>Element i with element i + half: Llama, Qwen, GPT-NeoX.</summary>
    Halves,

    /// <summary>Element 2i with element 2i + 1: the paper, GPT-J, DeepSeek.</summary>
    Interleaved,
}

public static partial class Op
{
    /// <summary>Turns pairs of elements of each head by an angle that depends on the position (RoPE: Su et al. 2021,
    /// arXiv 2104.09864). The first <c>2 · pairs</c> elements of a head are turned, the rest are left.</summary>
    /// <param name="x">[batch, length, heads, width].</param>
    /// <param name="positions">I32 [batch, length]: rows of the tables.</param>
    /// <param name="cosines">[positions, pairs].</param>
    /// <param name="sines">[positions, pairs].</param>
    /// <param name="layout">Which elements form a pair.</param>
    /// <exception cref="ShapeException">A position is beyond the tables.</exception>
    public static Tensor Rotate(Tensor x, Tensor positions, Tensor cosines, Tensor sines, RotaryLayout layout)
    {
        ShapeException.Require(x.Shape.Rank == 4, "rotate", "x", x, "[batch, length, heads, width]");
        ShapeException.Require(
            positions.Type == ElementType.I32 && positions.Shape == [x.Shape[0], x.Shape[1]], "rotate", "positions", positions, "x", x);
        ShapeException.Require(
            cosines.Shape == sines.Shape && cosines.Shape.Rank == 2 && 2 * cosines.Shape[1] <= x.Shape[3], "rotate", "cosines", cosines,
            "x", x);
        foreach (var position in positions.Ints)
        {
            if ((uint)position >= (uint)cosines.Shape[0])
                throw new ShapeException($"rotate: position {position} is beyond the tables' {cosines.Shape[0]} positions");
        }

        var y = Tensor.Temporary(x.Shape);
        RotaryKernels.Rotate(
            x.Floats, y.Floats, positions.Ints, cosines.Floats, sines.Floats, x.Shape[2], x.Shape[3], cosines.Shape[1], layout, 1, false);
        if (Tape.Write<RotateEntry>(y, x) is { } entry)
            (entry.X, entry.Positions, entry.Cosines, entry.Sines, entry.Layout) = (x, positions, cosines, sines, layout);
        GC.KeepAlive(x);
        GC.KeepAlive(positions);
        GC.KeepAlive(cosines);
        GC.KeepAlive(sines);
        return y;
    }

    private sealed class RotateEntry : TapeEntry
    {
        public Tensor X = null!, Positions = null!, Cosines = null!, Sines = null!;
        public RotaryLayout Layout;

        public override void Backward()
        {
            var dy = OutputGradient;
            var dx = X.Slot!.WriteOver(Output.Slot!, out var accumulate);
            RotaryKernels.Rotate(
                dy, dx, Positions.Ints, Cosines.Floats, Sines.Floats, X.Shape[2], X.Shape[3], Cosines.Shape[1], Layout, -1,
                accumulate);
        }
    }
}
