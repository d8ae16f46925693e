namespace Tessera.Tensors.Kernels;

/// <summary>A matrix in somebody's memory: <c>element(i, j) = data[i·rowStride + j·columnStride]</c>.</summary>
internal readonly ref struct Matrix
{
    /// <summary>A matrix of dense rows, <paramref name="rowStride"/> elements apart (its number of columns unless said).</summary>
    public Matrix(ReadOnlySpan<float> data, int rows, int columns, int rowStride = 0)
        : this(data, rows, columns, rowStride == 0 ? columns : rowStride, 1)
    {
    }

    private Matrix(ReadOnlySpan<float> data, int rows, int columns, int rowStride, int columnStride)
    {
        if (rows > 0 && columns > 0 && ((long)(rows - 1) * rowStride) + ((long)(columns - 1) * columnStride) >= data.Length)
            throw new ArgumentException($"{data.Length} elements do not hold {rows} x {columns} with strides {rowStride}, {columnStride}");
        Data = data;
        (Rows, Columns, RowStride, ColumnStride) = (rows, columns, rowStride, columnStride);
    }

    /// <summary>The elements of a tensor, all axes but the innermost taken as rows.</summary>
    public static Matrix Of(ReadOnlySpan<float> data, Shape shape) => new(data, shape.Rows, shape.Width);

    public ReadOnlySpan<float> Data { get; }

    public int Rows { get; }

    public int Columns { get; }

    public int RowStride { get; }

    public int ColumnStride { get; }

    /// <summary>The transpose: the same memory, read the other way.</summary>
    public Matrix T => new(Data, Columns, Rows, ColumnStride, RowStride);
}
