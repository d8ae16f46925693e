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
        var all = ids.Ints;
        for (var i = 0; i < all.Length; i++)
            if ((uint)all[i] >= (uint)rows) throw new ShapeException($"embedding: id {all[i]} at {i} is outside a table of {rows} rows");

        var y = Tensor.Temporary(ids.Shape.Append(width));
        if (table.Type == ElementType.F32)
            RowKernels.Run(
                new LookUp
                {
                    Ids = all,
                    Table = table.Floats,
                    Y = y.Floats,
                    Width = width,
                    Scale = scale,
                },
                all.Length,
                4L * width);
        else
            LoadRows(all, table, y.Floats, scale);
        if (Tape.Write<EmbeddingEntry>(y, table) is { } entry) (entry.Ids, entry.Table, entry.Scale) = (ids, table, scale);
        GC.KeepAlive(ids);
        GC.KeepAlive(table);
        return y;
    }

    /// <summary>Looks up rows of a type other than F32.</summary>
    private static void LoadRows(ReadOnlySpan<int> ids, Tensor table, Span<float> y, float scale)
    {
        var width = table.Shape[1];
        var rowBytes = (int)table.Type.Bytes(width);
        for (var i = 0; i < ids.Length; i++)
        {
            var row = y.Slice(i * width, width);
            QuantizedFormat.Load(table.Type, table.Bytes.Slice(ids[i] * rowBytes, rowBytes), row);
            if (scale != 1) TensorPrimitives.Multiply(row, scale, row);
        }
    }

    private ref struct LookUp : RowKernels.IRows
    {
        public ReadOnlySpan<int> Ids;
        public ReadOnlySpan<float> Table;
        public Span<float> Y;
        public int Width;
        public float Scale;

        public readonly void Run(int start, int end)
        {
            for (var i = start; i < end; i++)
            {
                var from = Table.Slice(Ids[i] * Width, Width);
                var to = Y.Slice(i * Width, Width);
                if (Scale == 1) from.CopyTo(to);
                else TensorPrimitives.Multiply(from, Scale, to);
            }
        }
    }

    private sealed class EmbeddingEntry : TapeEntry
    {
        public Tensor Ids = null!, Table = null!;
        public float Scale;

        public override void Backward()
        {
            RowKernels.ScatterAdd(OutputGradient, Ids.Ints, Scale, Table.Slot!.Add(), Table.Shape[1]);
        }
    }
}
