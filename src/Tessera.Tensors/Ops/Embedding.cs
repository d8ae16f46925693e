using System.Numerics.Tensors;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

public static partial class Op
{
    /// <summary>Rows of a table: <c>y[…] = table[ids[…]]</c>.</summary>
    /// <param name="ids">I32 […], each from 0 to the table's rows − 1.</param>
    /// <param name="table">[rows, width], of any type but I32.</param>
    /// <param name="scale">Multiplies the rows, as √width in the original Transformer.</param>
    /// <returns>[…, width].</returns>
    /// <exception cref="ShapeException">An id is outside the table.</exception>
    public static Tensor Embedding(Tensor ids, Tensor table, float scale = 1)
    {
        ShapeException.Require(ids.Type == ElementType.I32 && ids.Shape.Rank < Shape.MaximumRank, "embedding", "ids", ids, "I32");
        ShapeException.Require(table.Shape.Rank == 2 && table.Type.IsReal(), "embedding", "table", table, "[rows, width] of real numbers");
        var (rows, width) = (table.Shape[0], table.Shape[1]);
        var y = Tensor.Temporary(ids.Shape.Append(width));
        var target = y.Floats;
        var source = table.Bytes;
        var rowBytes = table.Type.Bytes(width);
        var all = ids.Ints;
        for (var i = 0; i < all.Length; i++)
        {
            if ((uint)all[i] >= (uint)rows) throw new ShapeException($"embedding: id {all[i]} at {i} is outside a table of {rows} rows");
            var row = target.Slice(i * width, width);
            QuantizedFormat.Load(table.Type, source.Slice((int)(all[i] * rowBytes), (int)rowBytes), row);
            if (scale != 1) TensorPrimitives.Multiply(row, scale, row);
        }

        if (Tape.Write<EmbeddingEntry>(y, table) is { } entry) (entry.Ids, entry.Table, entry.Scale) = (ids, table, scale);
        return y;
    }

    private sealed class EmbeddingEntry : TapeEntry
    {
        public Tensor Ids = null!, Table = null!;
        public float Scale;

        public override void Backward()
        {
            var gradient = OutputGradient;
            var table = Table.Slot!.Add();
            var ids = Ids.Ints;
            var width = Table.Shape[1];
            for (var i = 0; i < ids.Length; i++)
            {
                var row = table.Slice(ids[i] * width, width);
                TensorPrimitives.MultiplyAdd(gradient.Slice(i * width, width), Scale, row, row);
            }
        }
    }
}
