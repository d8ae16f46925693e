using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Rounds F32 matrices to BF16, to nearest even, and lays them out as BF16 tiles read them: panels of rows dense in k, and
/// strips of pairs (for each pair of steps of k, the two elements of every column). For 512-bit vectors.
/// </summary>
internal static unsafe class Bf16Packing
{
    /// <summary>Steps that are converted before they are transposed: what is between stays in the first-level cache.</summary>
    private const int StepsAtOnce = 64;

    /// <summary>The most columns of a strip, and rows of a panel.</summary>
    private const int MostLanes = 32;

    /// <summary>Rows of a, from the product's operands: zeros follow from <paramref name="steps"/> to <paramref name="wholeSteps"/>.</summary>
    /// <param name="stride">Bytes from one row of the panel to the next.</param>
    public static void Panel(in MatrixProductOperands product, int row, int rows, int step, int steps, int wholeSteps, byte* to, int stride)
    {
        var a = product.A + ((long)row * product.RowA) + ((long)step * product.ColumnA);
        if (product.ColumnA == 1)
        {
            for (var i = 0; i < rows; i++) Round(a + ((long)i * product.RowA), steps, (ushort*)(to + ((long)i * stride)));
        }
        else
        {
            var pairs = stackalloc uint[StepsAtOnce / 2 * MostLanes];
            for (var start = 0; start < steps; start += StepsAtOnce)
            {
                var count = Math.Min(StepsAtOnce, steps - start);
                Interleave(a + ((long)start * product.ColumnA), product.ColumnA, rows, rows, count, pairs);
                MatrixProductPacking.Pack<Lanes512>(
                    (float*)pairs, rows, 1, (count + 1) / 2, stride / sizeof(float), rows, (float*)to + (start / 2), clear: false);
            }
        }

        if (steps == wholeSteps) return;
        for (var i = 0; i < rows; i++)
            new Span<ushort>(to + ((long)i * stride) + ((long)steps * sizeof(ushort)), wholeSteps - steps).Clear();
    }

    /// <summary>Columns of b, from the product's operands, as pairs of steps: zeros follow from <paramref name="columns"/> to
    /// <paramref name="width"/> and from <paramref name="steps"/> to <paramref name="wholeSteps"/>.</summary>
    public static void Strip(in MatrixProductOperands product, int column, int columns, int width, int step, int steps, int wholeSteps, byte* to)
    {
        var first = ((long)step * product.RowB) + ((long)column * product.ColumnB);
        if (product.ColumnB == 1 && product.HalfB == null)
            Interleave(product.B + first, product.RowB, columns, width, steps, (uint*)to);
        else
            Transpose(product, first, columns, width, steps, (uint*)to);
        var written = (steps + 1) / 2;
        new Span<uint>((uint*)to + ((long)written * width), (int)(((wholeSteps / 2) - written) * (long)width)).Clear();
    }

    /// <summary>Rounds numbers that lie side by side.</summary>
    public static void Round(float* from, int count, ushort* to)
    {
        var i = 0;
        for (; i <= count - 32; i += 32)
            Vector512.Narrow(Bits(from + i) >>> 16, Bits(from + i + 16) >>> 16).Store(to + i);
        if (i <= count - 16)
        {
            Vector512.Narrow(Bits(from + i) >>> 16, default).GetLower().Store(to + i);
            i += 16;
        }

        for (; i < count; i++) to[i] = Round(from[i]);
    }

    /// <summary>A number rounded to BF16.</summary>
    public static ushort Round(float value) => (ushort)(Bits(Vector512.CreateScalar(value)).ToScalar() >> 16);

    /// <summary>The lanes of each row of <paramref name="from"/> and of the one after it, rounded and side by side; zeros
    /// beyond the last row.</summary>
    private static void Interleave(float* from, long stepStride, int lanes, int width, int steps, uint* to)
    {
        for (var step = 0; step < steps; step += 2)
        {
            var even = from + (step * stepStride);
            var odd = even + stepStride;
            var single = step + 1 == steps;
            var lane = 0;
            for (; lane <= lanes - 16; lane += 16)
                (Bits(even + lane) >>> 16 | (single ? Vector512<uint>.Zero : High(Bits(odd + lane)))).Store(to + lane);
            for (; lane < lanes; lane++) to[lane] = Round(even[lane]) | (single ? 0 : (uint)Round(odd[lane]) << 16);
            for (; lane < width; lane++) to[lane] = 0;
            to += width;
        }
    }

    /// <summary>Columns of b that are dense in k are rounded, then their pairs transposed.</summary>
    private static void Transpose(in MatrixProductOperands product, long first, int columns, int width, int steps, uint* to)
    {
        const int Stride = StepsAtOnce + 32;
        var rounded = stackalloc ushort[Stride * MostLanes];
        for (var start = 0; start < steps; start += StepsAtOnce)
        {
            var count = Math.Min(StepsAtOnce, steps - start);
            for (var j = 0; j < columns; j++)
            {
                var from = first + ((long)start * product.RowB) + ((long)j * product.ColumnB);
                var row = rounded + (j * Stride);
                if (product.HalfB == null) Round(product.B + from, count, row);
                else new ReadOnlySpan<ushort>(product.HalfB + from, count).CopyTo(new Span<ushort>(row, count));
                if (count % 2 != 0) row[count] = 0;
            }

            MatrixProductPacking.Pack<Lanes512>(
                (float*)rounded, Stride / 2, 1, columns, width, (count + 1) / 2, (float*)to + ((long)start / 2 * width));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Bits(float* from) => Bits(Vector512.Load(from));

    /// <summary>The BF16 number in the upper half of each element; the lower half is arbitrary.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Bits(Vector512<float> values)
    {
        var bits = values.AsUInt32();
        var rounded = bits + (bits >>> 16 & Vector512<uint>.One) + Vector512.Create(0x7FFFu);
        return Vector512.ConditionalSelect(Vector512.IsNaN(values).AsUInt32(), bits | Vector512.Create(0x400000u), rounded);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> High(Vector512<uint> bits) => bits & Vector512.Create(0xFFFF0000u);
}
