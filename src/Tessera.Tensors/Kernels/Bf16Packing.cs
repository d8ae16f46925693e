using System.Runtime.CompilerServices;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Rounds F32 matrices to BF16, to nearest even, and lays them out as BF16 tiles read them: panels of rows dense in k, and
/// strips of pairs (for each pair of steps of k, the two elements of every column).
/// </summary>
internal static unsafe class Bf16Packing
{
    /// <summary>Steps that are rounded before they are transposed: what is between stays in the first-level cache.</summary>
    private const int StepsAtOnce = 2 * Bf16Rounding.AtOnce;

    /// <summary>The most columns of a strip, and rows of a panel.</summary>
    private const int MaxLanes = 32;

    /// <summary>Rows of a, from the product's operands, with zeros to a multiple of 32 steps.</summary>
    /// <param name="to">Room for <paramref name="rows"/> rows of so many.</param>
    /// <param name="stride">Bytes from one row of the panel to the next; 0 for pairs of <see cref="Bf16Tile.LanesOfPairs"/> rows, where a
    /// is dense in rows.</param>
    [SkipLocalsInit]
    public static void Panel(in MatrixProductOperands product, int row, int rows, int step, int steps, byte* to, int stride)
    {
        var a = product.A + ((long)row * product.RowA) + ((long)step * product.ColumnA);
        if (product.ColumnA == 1)
        {
            Bf16Rounding.Rows(a, (nint)product.RowA * sizeof(float), rows, steps, (ushort*)to, stride);
            return;
        }

        if (stride == 0)
        {
            Bf16Rounding.Pairs(a, (nint)product.ColumnA * sizeof(float), steps, rows, Bf16Tile.LanesOfPairs, (uint*)to);
            return;
        }

        var pairs = stackalloc uint[StepsAtOnce / 2 * MaxLanes];
        var width = rows <= MaxLanes / 2 ? MaxLanes / 2 : MaxLanes;
        for (var start = 0; start < steps; start += StepsAtOnce)
        {
            var count = Math.Min(StepsAtOnce, steps - start);
            var whole = (count + Bf16Rounding.AtOnce - 1) / Bf16Rounding.AtOnce * Bf16Rounding.AtOnce;
            Bf16Rounding.Pairs(a + ((long)start * product.ColumnA), (nint)product.ColumnA * sizeof(float), count, rows, width, pairs);
            new Span<uint>(pairs + ((count + 1) / 2 * width), (whole / 2 - ((count + 1) / 2)) * width).Clear();
            MatrixProductPacking.Pack<Lanes512, SingleElements>(
                (byte*)pairs, width, 1, whole / 2, stride / sizeof(float), rows, (float*)to + (start / 2), clear: false);
        }
    }

    /// <summary>Columns of b, from the product's operands, as pairs of steps: zeros follow from <paramref name="columns"/> to
    /// <paramref name="width"/> and from <paramref name="steps"/> to <paramref name="wholeSteps"/>.</summary>
    public static void Strip(
        in MatrixProductOperands product, int column, int columns, int width, int step, int steps, int wholeSteps, byte* to)
    {
        var first = ((long)step * product.RowB) + ((long)column * product.ColumnB);
        if (product.ColumnB == 1 && product.HalfB == null)
            Bf16Rounding.Pairs(product.B + first, (nint)product.RowB * sizeof(float), steps, columns, width, (uint*)to);
        else
            Transpose(product, first, columns, width, steps, (uint*)to);
        var written = (steps + 1) / 2;
        new Span<uint>((uint*)to + ((long)written * width), ((wholeSteps / 2) - written) * width).Clear();
    }

    /// <summary>Columns of b that are dense in k are rounded, then their pairs transposed.</summary>
    [SkipLocalsInit]
    private static void Transpose(in MatrixProductOperands product, long first, int columns, int width, int steps, uint* to)
    {
        const int Stride = StepsAtOnce + 32;
        var rounded = stackalloc ushort[Stride * MaxLanes];
        for (var start = 0; start < steps; start += StepsAtOnce)
        {
            var count = Math.Min(StepsAtOnce, steps - start);
            var from = first + ((long)start * product.RowB);
            if (product.HalfB == null)
                Bf16Rounding.Rows(
                    product.B + from, (nint)product.ColumnB * sizeof(float), columns, count, rounded, Stride * sizeof(ushort));
            else
                Copy(product.HalfB + from, product.ColumnB, columns, count, rounded, Stride);
            MatrixProductPacking.Pack<Lanes512, SingleElements>(
                (byte*)rounded, Stride / 2, 1, columns, width, (count + 1) / 2, (float*)to + ((long)start / 2 * width));
        }
    }

    private static void Copy(ushort* from, long strideFrom, int rows, int count, ushort* to, int strideTo)
    {
        for (var row = 0; row < rows; row++)
        {
            new ReadOnlySpan<ushort>(from, count).CopyTo(new Span<ushort>(to, count));
            to[count] = 0; // in case the number is odd
            from += strideFrom;
            to += strideTo;
        }
    }
}
