using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// The product of each time step: a few rows by the same matrix again and again. The matrix is packed once into panels of
/// two vectors' width, each row of a panel beside the next, so that a panel stays in the first-level cache while all rows
/// pass by it.
/// </summary>
internal static unsafe class RecurrentProduct
{
    /// <summary>The widest panel of any level; rows of results are a multiple of it long.</summary>
    private const int WidestPanel = 32;

    /// <summary><paramref name="columns"/> rounded up to whole panels of any level.</summary>
    public static int Padded(int columns) => (columns + WidestPanel - 1) / WidestPanel * WidestPanel;

    /// <summary>Packs b, k × n, into <c>k · Padded(n)</c> floats.</summary>
    public static void Pack(Matrix b, Span<float> packed)
    {
        if (packed.Length < (long)b.Rows * Padded(b.Columns))
            throw new ArgumentException($"{packed.Length} elements do not hold the packed matrix");
        fixed (float* from = b.Data, to = packed)
        {
            var work = new Packing
            {
                From = from, To = to, Rows = b.Rows, Columns = b.Columns, RowStride = b.RowStride, ColumnStride = b.ColumnStride,
                Parts = Simd.Parts(Padded(b.Columns), 2L * b.Rows),
            };
            Simd.Run(ref work, work.Parts);
        }
    }

    /// <summary><c>c = a b</c> or <c>c += a b</c> for a few rows of a, b packed; c's rows are <c>Padded(n)</c> long.</summary>
    public static void Multiply<V>(
        float* a, int strideA, int rows, float* packed, int k, int n, float* c, int strideC, bool accumulate) where V : struct, ILanes<V>
    {
        for (var column = 0; column < n; column += 2 * V.Count)
        {
            var b = packed + ((long)column * k);
            var row = 0;
            // Sixteen accumulators fit only the 32 registers of 512-bit vectors.
            for (; V.Count == 16 && row + 8 <= rows; row += 8)
                EightRows<V>(a + (row * strideA), strideA, b, k, c + (row * strideC) + column, strideC, accumulate);
            for (; row + 4 <= rows; row += 4)
                FourRows<V>(a + (row * strideA), strideA, b, k, c + (row * strideC) + column, strideC, accumulate);
            for (; row < rows; row++)
                OneRow<V>(a + (row * strideA), b, k, c + (row * strideC) + column, accumulate);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void EightRows<V>(float* a, int strideA, float* b, int k, float* c, int strideC, bool accumulate)
        where V : struct, ILanes<V>
    {
        float* a0 = a,
            a1 = a0 + strideA,
            a2 = a1 + strideA,
            a3 = a2 + strideA,
            a4 = a3 + strideA,
            a5 = a4 + strideA,
            a6 = a5 + strideA,
            a7 = a6 + strideA;
        V l0 = V.Zero, l1 = V.Zero, l2 = V.Zero, l3 = V.Zero, l4 = V.Zero, l5 = V.Zero, l6 = V.Zero, l7 = V.Zero;
        V r0 = V.Zero, r1 = V.Zero, r2 = V.Zero, r3 = V.Zero, r4 = V.Zero, r5 = V.Zero, r6 = V.Zero, r7 = V.Zero;
        for (var i = 0; i < k; i++, b += 2 * V.Count)
        {
            V left = V.Load(b), right = V.Load(b + V.Count);
            var x = V.All(a0[i]);
            l0 = V.MultiplyAdd(x, left, l0);
            r0 = V.MultiplyAdd(x, right, r0);
            x = V.All(a1[i]);
            l1 = V.MultiplyAdd(x, left, l1);
            r1 = V.MultiplyAdd(x, right, r1);
            x = V.All(a2[i]);
            l2 = V.MultiplyAdd(x, left, l2);
            r2 = V.MultiplyAdd(x, right, r2);
            x = V.All(a3[i]);
            l3 = V.MultiplyAdd(x, left, l3);
            r3 = V.MultiplyAdd(x, right, r3);
            x = V.All(a4[i]);
            l4 = V.MultiplyAdd(x, left, l4);
            r4 = V.MultiplyAdd(x, right, r4);
            x = V.All(a5[i]);
            l5 = V.MultiplyAdd(x, left, l5);
            r5 = V.MultiplyAdd(x, right, r5);
            x = V.All(a6[i]);
            l6 = V.MultiplyAdd(x, left, l6);
            r6 = V.MultiplyAdd(x, right, r6);
            x = V.All(a7[i]);
            l7 = V.MultiplyAdd(x, left, l7);
            r7 = V.MultiplyAdd(x, right, r7);
        }

        Put(c, l0, r0, accumulate);
        Put(c += strideC, l1, r1, accumulate);
        Put(c += strideC, l2, r2, accumulate);
        Put(c += strideC, l3, r3, accumulate);
        Put(c += strideC, l4, r4, accumulate);
        Put(c += strideC, l5, r5, accumulate);
        Put(c += strideC, l6, r6, accumulate);
        Put(c + strideC, l7, r7, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void FourRows<V>(float* a, int strideA, float* b, int k, float* c, int strideC, bool accumulate)
        where V : struct, ILanes<V>
    {
        float* a0 = a, a1 = a0 + strideA, a2 = a1 + strideA, a3 = a2 + strideA;
        V l0 = V.Zero, l1 = V.Zero, l2 = V.Zero, l3 = V.Zero;
        V r0 = V.Zero, r1 = V.Zero, r2 = V.Zero, r3 = V.Zero;
        for (var i = 0; i < k; i++, b += 2 * V.Count)
        {
            V left = V.Load(b), right = V.Load(b + V.Count);
            var x = V.All(a0[i]);
            l0 = V.MultiplyAdd(x, left, l0);
            r0 = V.MultiplyAdd(x, right, r0);
            x = V.All(a1[i]);
            l1 = V.MultiplyAdd(x, left, l1);
            r1 = V.MultiplyAdd(x, right, r1);
            x = V.All(a2[i]);
            l2 = V.MultiplyAdd(x, left, l2);
            r2 = V.MultiplyAdd(x, right, r2);
            x = V.All(a3[i]);
            l3 = V.MultiplyAdd(x, left, l3);
            r3 = V.MultiplyAdd(x, right, r3);
        }

        Put(c, l0, r0, accumulate);
        Put(c += strideC, l1, r1, accumulate);
        Put(c += strideC, l2, r2, accumulate);
        Put(c + strideC, l3, r3, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void OneRow<V>(float* a, float* b, int k, float* c, bool accumulate) where V : struct, ILanes<V>
    {
        V left = V.Zero, right = V.Zero;
        for (var i = 0; i < k; i++, b += 2 * V.Count)
        {
            var x = V.All(a[i]);
            left = V.MultiplyAdd(x, V.Load(b), left);
            right = V.MultiplyAdd(x, V.Load(b + V.Count), right);
        }

        Put(c, left, right, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<V>(float* c, V left, V right, bool accumulate) where V : struct, ILanes<V>
    {
        (accumulate ? V.Load(c) + left : left).Store(c);
        (accumulate ? V.Load(c + V.Count) + right : right).Store(c + V.Count);
    }

    private struct Packing : IVectorWork
    {
        public float* From, To;
        public int Rows, Columns, RowStride, ColumnStride, Parts;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var width = 2 * V.Count;
            var (first, last) = Simd.Share((Columns + width - 1) / width, Parts, part);
            for (var panel = first; panel < last; panel++)
            {
                var to = To + ((long)panel * width * Rows);
                var from = From + ((long)panel * width * ColumnStride);
                var columns = Math.Min(width, Columns - (panel * width));
                if (columns < width) new Span<float>(to, width * Rows).Clear();
                if (ColumnStride == 1)
                {
                    for (var row = 0; row < Rows; row++)
                        new Span<float>(from + ((long)row * RowStride), columns).CopyTo(new Span<float>(to + (row * width), columns));
                    continue;
                }

                for (var column = 0; column < columns; column++)
                    for (var row = 0; row < Rows; row++)
                        to[(row * width) + column] = from[((long)row * RowStride) + ((long)column * ColumnStride)];
            }
        }
    }
}
