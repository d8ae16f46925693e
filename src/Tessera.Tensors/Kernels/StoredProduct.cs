using System.Runtime.InteropServices;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>A weight [rows, columns] of a type other than F32, in somebody's memory.</summary>
internal readonly ref struct StoredMatrix
{
    /// <summary>A matrix of dense rows.</summary>
    public StoredMatrix(ElementType type, ReadOnlySpan<byte> data, int rows, int columns)
    {
        if (data.Length != type.Bytes((long)rows * columns))
            throw new ArgumentException($"{data.Length} bytes do not hold {rows} x {columns} of {type}");
        Data = data;
        (Type, Rows, Columns) = (type, rows, columns);
    }

    public ElementType Type { get; }

    public ReadOnlySpan<byte> Data { get; }

    public int Rows { get; }

    public int Columns { get; }

    /// <summary>Bytes of a row.</summary>
    public long RowBytes => Type.Bytes(Columns);

    /// <summary>Some of the rows.</summary>
    public StoredMatrix Part(int start, int count) =>
        new(Type, Data.Slice((int)(start * RowBytes), (int)(count * RowBytes)), count, Columns);
}

/// <summary>
/// Products with weights that are stored in fewer bits: <c>y = x Wᵀ + b</c> and <c>dx = dy W</c>.
/// <para>F16 and BF16 weights are widened and multiplied in F32, or as the kind says where rows are many; BF16 ones as the kind
/// says at any number of rows. With a quantized weight, x is rounded to 8 bits (see <see cref="QuantizedActivations"/>) at any number of
/// rows and at any level, products of the integers are exact, and blocks are summed in F32: y is the product of what the rounded x and the
/// weight stand for, up to F32 rounding.</para>
/// <para>Few rows read each weight once, where it lies; for many, weights are unpacked a panel at a time.</para>
/// </summary>
internal static unsafe class StoredProduct
{
    /// <summary>Up to this many rows, F16 and BF16 weights are used where they lie.</summary>
    private const int MaxRowsWide = 31;

    /// <summary>With more rows than this in all groups, only those of groups with few are rounded to BF16.</summary>
    private const int MaxRowsRounded = 4 * MaxRowsWide;

    /// <summary>Up to this many rows, quantized weights are used where they lie.</summary>
    private const int MaxRowsInPlace = 12;

    /// <summary>The same where tiles of bytes make many rows cheap.</summary>
    private const int MaxRowsForTiles = 2;

    /// <summary>Rows of y = rows of x × wᵀ + bias.</summary>
    /// <param name="x">m × k.</param>
    /// <param name="w">n × k.</param>
    /// <param name="y">m × n.</param>
    /// <param name="bias">n elements, or none.</param>
    /// <param name="kind">What x is rounded to where the weight is not quantized.</param>
    /// <param name="joins">Whether a product of few rows may be done later, as a part of what is open (<see cref="JointWork"/>).</param>
    public static void Multiply(
        Activations x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias, MatrixProductKind kind, bool joins = false)
    {
        var rows = x.Shape.Rows;
        if (rows == 0 || w.Rows == 0) return;
        if (w.Type.IsQuantized()) Multiply(x.Quantized(), w, y, bias, joins);
        else MultiplyWide(x, 0, rows, w, y, bias, kind, joins);
    }

    /// <summary>Rows of y = rows of x × wᵀ in F32, of whatever type the weight is: x is not rounded.</summary>
    /// <param name="x">m × k.</param>
    /// <param name="w">n × k.</param>
    /// <param name="y">m × n.</param>
    /// <param name="rowStride">Elements from one row of y to the next.</param>
    public static void MultiplyWidened(Matrix x, StoredMatrix w, Span<float> y, int rowStride) =>
        MultiplyPanels(x, w, y, rowStride, default, MatrixProductKind.F32);

    /// <summary>Rows of y = rows of x × the group's matrix, transposed; rows in no group become 0.</summary>
    /// <param name="x">rows × k.</param>
    /// <param name="w">[groups · n] × k.</param>
    /// <param name="offsets">One more than there are groups, within the rows.</param>
    /// <param name="y">rows × n.</param>
    /// <param name="kind">What x is rounded to where the weight is not quantized.</param>
    public static void MultiplyGroups(Activations x, StoredMatrix w, ReadOnlySpan<int> offsets, Span<float> y, MatrixProductKind kind)
    {
        MatrixProductGroups.Require(offsets, x.Shape.Rows);
        var groups = offsets.Length - 1;
        var n = groups == 0 ? 0 : w.Rows / groups;
        y[(offsets[^1] * n)..].Clear();
        if (n == 0) return;
        if (w.Type.IsQuantized())
        {
            MultiplyGroups(x.Quantized(), w, offsets, y);
            return;
        }

        for (var group = 0; group < groups; group++)
        {
            var (start, count) = (offsets[group], offsets[group + 1] - offsets[group]);
            if (count == 0) continue;
            MultiplyWide(x, start, count, w.Part(group * n, n), y.Slice(start * n, count * n), default, kind);
        }
    }

    /// <summary>Groups of few rows are one job, and those of many rows another.</summary>
    private static void MultiplyGroups(in QuantizedActivations x, StoredMatrix w, ReadOnlySpan<int> offsets, Span<float> y)
    {
        var n = w.Rows / (offsets.Length - 1);
        var few = x.Columns == 0 ? x.Rows : StoredProductTiles.IsSupported ? MaxRowsForTiles : MaxRowsInPlace;
        StoredProductGroups.MultiplyFew(x, w, offsets, few, y);
        if (StoredProductTiles.IsSupported)
        {
            StoredProductTiles.MultiplyGroups(x, w, offsets, few, y, default);
            return;
        }

        for (var group = 0; group < offsets.Length - 1; group++)
        {
            var (start, count) = (offsets[group], offsets[group + 1] - offsets[group]);
            if (count > few) Multiply(x.Part(start, count), w.Part(group * n, n), y.Slice(start * n, count * n), default);
        }
    }

    /// <summary><c>dx = dy w</c>, or <c>dx += dy w</c>.</summary>
    /// <param name="dy">m × n, dense rows.</param>
    /// <param name="w">n × k.</param>
    /// <param name="dx">m × k.</param>
    /// <param name="accumulate">Whether to add to what dx holds.</param>
    /// <param name="kind">What factors are rounded to.</param>
    /// <param name="rowStride">Elements from one row of dx to the next; k unless said.</param>
    public static void MultiplyBack(Matrix dy, StoredMatrix w, Span<float> dx, bool accumulate, MatrixProductKind kind, int rowStride = 0)
    {
        if (w.Rows == 0 && !accumulate) dx.Clear();
        if (dy.Rows == 0 || w.Columns == 0) return;
        var panel = new StoredProductPanel(w);
        for (var start = 0; start < w.Rows; start += panel.Max)
        {
            var rows = panel.Load(w, start);
            var part = new Matrix(dy.Data[start..], dy.Rows, rows, dy.RowStride);
            MatrixProduct.Multiply(part, new Matrix(panel.Values, rows, w.Columns), dx, accumulate || start > 0, rowStride, kind: kind);
        }

        panel.Return();
    }

    /// <summary>As <see cref="MultiplyBack"/> for groups; rows in no group become 0, or stay when accumulating.</summary>
    public static void MultiplyGroupsBack(
        Matrix dy, StoredMatrix w, ReadOnlySpan<int> offsets, Span<float> dx, bool accumulate, MatrixProductKind kind)
    {
        var (groups, n, k) = (offsets.Length - 1, dy.Columns, w.Columns);
        if (!accumulate) dx[(offsets[^1] * k)..].Clear();
        for (var group = 0; group < groups; group++)
        {
            var (start, count) = (offsets[group], offsets[group + 1] - offsets[group]);
            if (count > 0) MultiplyBack(Rows(dy, start, count), w.Part(group * n, n), dx.Slice(start * k, count * k), accumulate, kind);
        }
    }

    private static Matrix Rows(Matrix matrix, int start, int count) =>
        new(matrix.Data.Slice(start * matrix.RowStride, count * matrix.RowStride), count, matrix.Columns);

    private static void Multiply(in QuantizedActivations x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias, bool joins = false)
    {
        if (x.Rows <= (StoredProductTiles.IsSupported ? MaxRowsForTiles : MaxRowsInPlace) || x.Columns == 0)
        {
            StoredProductDots.Multiply(x, w, y, bias, joins);
            return;
        }

        if (StoredProductTiles.IsSupported)
        {
            StoredProductTiles.Multiply(x, w, y, bias);
            return;
        }

        var values = Arena.Current.Take((long)x.Rows * x.Columns * sizeof(float));
        x.Load((float*)values);
        MultiplyPanels(
            new Matrix(new ReadOnlySpan<float>((void*)values, checked(x.Rows * x.Columns)), x.Rows, x.Columns), w, y, w.Rows, bias,
            MatrixProductKind.F32);
        Arena.Current.Return(values, (long)x.Rows * x.Columns * sizeof(float));
    }

    /// <summary>The product of some rows of x.</summary>
    private static void MultiplyWide(
        Activations x, int start, int count, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias, MatrixProductKind kind,
        bool joins = false)
    {
        var isBf16 = kind == MatrixProductKind.Bf16 && w.Type == ElementType.BF16;
        var rows = Rows(x.Tensor.AsMatrix(), start, count);
        if (isBf16 && ThinProductAmx.Suits(count))
            ThinProductAmx.Multiply(rows, MemoryMarshal.Cast<byte, ushort>(w.Data), w.Rows, y, bias);
        else if (count <= MaxRowsWide && isBf16)
        {
            if (x.Shape.Rows <= MaxRowsRounded) StoredProductBf16.Multiply(x.RoundedToBf16().Part(start, count), w, y, bias, joins);
            else MultiplyRounded(rows, w, y, bias);
        }
        else if (isBf16 || (w.Type == ElementType.BF16 && kind == MatrixProductKind.F32 && count > 1))
            MatrixProduct.MultiplyBf16(rows, MemoryMarshal.Cast<byte, ushort>(w.Data), w.Rows, y, bias, kind);
        else if (count <= MaxRowsWide) StoredProductWide.Multiply(rows, w, y, bias, joins);
        else MultiplyPanels(rows, w, y, w.Rows, bias, kind);
    }

    /// <summary>Rounds rows for one product alone.</summary>
    private static void MultiplyRounded(Matrix rows, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias)
    {
        var bytes = Bf16Activations.Bytes(rows.Rows, rows.Columns);
        var memory = Arena.Current.Take(bytes);
        StoredProductBf16.Multiply(Bf16Activations.Of(rows, memory), w, y, bias, joins: false);
        Arena.Current.Return(memory, bytes);
    }

    private static void MultiplyPanels(
        Matrix x, StoredMatrix w, Span<float> y, int rowStride, ReadOnlySpan<float> bias, MatrixProductKind kind)
    {
        var panel = new StoredProductPanel(w);
        for (var start = 0; start < w.Rows; start += panel.Max)
        {
            var rows = panel.Load(w, start);
            MatrixProduct.Multiply(
                x, new Matrix(panel.Values, rows, w.Columns).T, y[start..], accumulate: false, rowStride,
                bias.IsEmpty ? default : bias.Slice(start, rows), kind);
        }

        panel.Return();
    }
}
