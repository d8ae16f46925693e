using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>
    /// A linear map for each group of rows, as the experts of a mixture: <c>y[i] = x[i] W[g]ᵀ</c> for the rows i from
    /// <c>offsets[g]</c> to <c>offsets[g + 1]</c>; one call for all groups, none of which is padded.
    /// </summary>
    /// <param name="x">[slots, inputs], rows sorted by group.</param>
    /// <param name="weight">[groups, outputs, inputs], of any type but I32; see <see cref="Linear(Tensor, Tensor, Tensor?)"/>.</param>
    /// <param name="offsets">I32 [groups + 1]: 0 first, never falling, the last at most slots.</param>
    /// <returns>[slots, outputs]; rows from <c>offsets[groups]</c> on are 0.</returns>
    /// <exception cref="ShapeException">Shapes do not fit, or an offset is out of range.</exception>
    public static Tensor GroupedLinear(Tensor x, Tensor weight, Tensor offsets)
    {
        using var alone = Activations.Of(x);
        return GroupedLinear(alone, weight, offsets);
    }

    /// <summary>As <see cref="GroupedLinear(Tensor, Tensor, Tensor)"/>, of an x that several weights multiply: what it is rounded to for
    /// one of them serves the others.</summary>
    /// <param name="activations">[slots, inputs], rows sorted by group.</param>
    /// <param name="weight">[groups, outputs, inputs].</param>
    /// <param name="offsets">I32 [groups + 1].</param>
    /// <returns>[slots, outputs]; rows from <c>offsets[groups]</c> on are 0.</returns>
    /// <exception cref="ShapeException">Shapes do not fit, or an offset is out of range.</exception>
    public static Tensor GroupedLinear(Activations activations, Tensor weight, Tensor offsets)
    {
        var x = activations.Tensor;
        ShapeException.Require(x.Shape.Rank == 2, "grouped linear", "x", x, "[slots, inputs]");
        ShapeException.Require(
            weight.Shape.Rank == 3 && weight.Shape[2] == x.Shape[1], "grouped linear", "weight", weight, "x", x);
        ShapeException.Require(
            offsets.Type == ElementType.I32 && offsets.Shape == [weight.Shape[0] + 1],
            "grouped linear", "offsets", offsets, "weight", weight);

        var y = Tensor.Temporary([x.Shape[0], weight.Shape[1]]);
        var entry = Tape.Write<GroupedLinearEntry>(y, x, weight);
        var rowsOfGroup = x.Shape[0] / Math.Max(1, weight.Shape[0]);
        var kind = MatrixProductKinds.Choose(
            rowsOfGroup, weight.Shape[1], weight.Shape[2],
            packed: weight.Type == ElementType.BF16 || (entry is not null && weight.IsParameter));
        if (weight.Type == ElementType.F32)
        {
            var packed = entry is null ? default : PackedParameter.Of(weight, transposed: true, kind);
            MatrixProductGroups.MultiplyRows(
                x.AsMatrix(), weight.Floats, transposed: true, offsets.Ints, y.Floats, weight.Shape[1], accumulate: false, kind, packed);
        }
        else
        {
            StoredProduct.MultiplyGroups(activations, weight.AsStoredMatrix("grouped linear"), offsets.Ints, y.Floats, kind);
        }

        if (entry is not null) (entry.X, entry.Weight, entry.Offsets, entry.Kind) = (x, weight, offsets, kind);
        GC.KeepAlive(activations);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        GC.KeepAlive(offsets);
        return y;
    }

    private sealed class GroupedLinearEntry : TapeEntry
    {
        public Tensor X = null!, Weight = null!, Offsets = null!;
        public MatrixProductKind Kind;

        public override void Backward()
        {
            var dy = Matrix.Of(OutputGradient, Output.Shape);
            if (X.Slot is { } x)
            {
                var dx = x.Write(out var accumulate);
                if (Weight.Type == ElementType.F32)
                {
                    var packed = PackedParameter.Of(Weight, transposed: false, Kind);
                    MatrixProductGroups.MultiplyRows(
                        dy, Weight.Floats, transposed: false, Offsets.Ints, dx, X.Shape[1], accumulate, Kind, packed);
                }
                else
                {
                    StoredProduct.MultiplyGroupsBack(dy, Weight.AsStoredMatrix("grouped linear"), Offsets.Ints, dx, accumulate, Kind);
                }
            }

            if (Weight.Slot is { } weight)
            {
                var dw = weight.Write(out var accumulate);
                MatrixProductGroups.MultiplyEach(dy, X.AsMatrix(), Offsets.Ints, dw, accumulate, Kind);
            }
        }
    }
}
