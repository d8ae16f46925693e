using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// The small products that attention consists of: <c>c = a b</c> or <c>c += a b</c>, where a is read one number at a time
/// with any strides and b and c a vector at a time. Blocks of 4 rows × 4 vectors (or 2, where there are 16 registers) of c stay
/// in registers.
/// <para>Compiled with AggressiveOptimization: what tiered compilation makes of these loops after profiling an early call is up
/// to ten times slower.</para>
/// </summary>
internal static unsafe class FlashAttentionProduct
{
    /// <param name="a">m × k, element (i, l) at <c>a[i·aRow + l·aColumn]</c>.</param>
    /// <param name="aRow">Elements between rows of a.</param>
    /// <param name="aColumn">Elements between columns of a.</param>
    /// <param name="b">k × n, rows <paramref name="bRow"/> apart.</param>
    /// <param name="bRow">Elements between rows of b.</param>
    /// <param name="c">m × n, rows <paramref name="cRow"/> apart.</param>
    /// <param name="cRow">Elements between rows of c.</param>
    /// <param name="m">Rows of a and c.</param>
    /// <param name="n">Columns of b and c, a multiple of the lanes.</param>
    /// <param name="k">Columns of a, rows of b.</param>
    /// <param name="add">Whether to add to what c holds.</param>
    public static void Run<V>(float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int m, int n, int k, bool add)
        where V : struct, ILanes<V>
    {
        var column = 0;
        if (V.Count == 16)
        {
            for (; column + (4 * V.Count) <= n; column += 4 * V.Count)
                for (var row = 0; row < m; row += 4)
                    Block4<V>(a + (row * aRow), aRow, aColumn, b + column, bRow, c + (row * cRow) + column, cRow, m - row, k, add);
        }

        for (; column + (2 * V.Count) <= n; column += 2 * V.Count)
            for (var row = 0; row < m; row += 4)
                Block2<V>(a + (row * aRow), aRow, aColumn, b + column, bRow, c + (row * cRow) + column, cRow, m - row, k, add);
        for (; column < n; column += V.Count)
            for (var row = 0; row < m; row += 4)
                Block1<V>(a + (row * aRow), aRow, aColumn, b + column, bRow, c + (row * cRow) + column, cRow, m - row, k, add);
    }

    // Where fewer than four rows are left, the missing ones are the last one again: the same sums, stored to the same place.

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Block4<V>(float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int rows, int k, bool add)
        where V : struct, ILanes<V>
    {
        nint second = Math.Min(1, rows - 1), third = Math.Min(2, rows - 1), fourth = Math.Min(3, rows - 1);
        float* a1 = a + (second * aRow), a2 = a + (third * aRow), a3 = a + (fourth * aRow);
        float* c1 = c + (second * cRow), c2 = c + (third * cRow), c3 = c + (fourth * cRow);
        V s00 = V.Zero, s01 = V.Zero, s02 = V.Zero, s03 = V.Zero, s10 = V.Zero, s11 = V.Zero, s12 = V.Zero, s13 = V.Zero;
        V s20 = V.Zero, s21 = V.Zero, s22 = V.Zero, s23 = V.Zero, s30 = V.Zero, s31 = V.Zero, s32 = V.Zero, s33 = V.Zero;
        if (add)
        {
            Load4(c, out s00, out s01, out s02, out s03);
            Load4(c1, out s10, out s11, out s12, out s13);
            Load4(c2, out s20, out s21, out s22, out s23);
            Load4(c3, out s30, out s31, out s32, out s33);
        }

        for (var l = 0; l < k; l++)
        {
            Load4(b, out V b0, out V b1, out V b2, out V b3);
            var x = V.All(*a);
            s00 = V.MultiplyAdd(x, b0, s00);
            s01 = V.MultiplyAdd(x, b1, s01);
            s02 = V.MultiplyAdd(x, b2, s02);
            s03 = V.MultiplyAdd(x, b3, s03);
            x = V.All(*a1);
            s10 = V.MultiplyAdd(x, b0, s10);
            s11 = V.MultiplyAdd(x, b1, s11);
            s12 = V.MultiplyAdd(x, b2, s12);
            s13 = V.MultiplyAdd(x, b3, s13);
            x = V.All(*a2);
            s20 = V.MultiplyAdd(x, b0, s20);
            s21 = V.MultiplyAdd(x, b1, s21);
            s22 = V.MultiplyAdd(x, b2, s22);
            s23 = V.MultiplyAdd(x, b3, s23);
            x = V.All(*a3);
            s30 = V.MultiplyAdd(x, b0, s30);
            s31 = V.MultiplyAdd(x, b1, s31);
            s32 = V.MultiplyAdd(x, b2, s32);
            s33 = V.MultiplyAdd(x, b3, s33);
            a += aColumn;
            a1 += aColumn;
            a2 += aColumn;
            a3 += aColumn;
            b += bRow;
        }

        Store4(c, s00, s01, s02, s03);
        Store4(c1, s10, s11, s12, s13);
        Store4(c2, s20, s21, s22, s23);
        Store4(c3, s30, s31, s32, s33);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Block2<V>(float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int rows, int k, bool add)
        where V : struct, ILanes<V>
    {
        nint second = Math.Min(1, rows - 1), third = Math.Min(2, rows - 1), fourth = Math.Min(3, rows - 1);
        float* a1 = a + (second * aRow), a2 = a + (third * aRow), a3 = a + (fourth * aRow);
        float* c1 = c + (second * cRow), c2 = c + (third * cRow), c3 = c + (fourth * cRow);
        V s00 = V.Zero, s01 = V.Zero, s10 = V.Zero, s11 = V.Zero, s20 = V.Zero, s21 = V.Zero, s30 = V.Zero, s31 = V.Zero;
        if (add)
        {
            (s00, s01, s10, s11) = (V.Load(c), V.Load(c + V.Count), V.Load(c1), V.Load(c1 + V.Count));
            (s20, s21, s30, s31) = (V.Load(c2), V.Load(c2 + V.Count), V.Load(c3), V.Load(c3 + V.Count));
        }

        for (var l = 0; l < k; l++)
        {
            V b0 = V.Load(b), b1 = V.Load(b + V.Count);
            var x = V.All(*a);
            s00 = V.MultiplyAdd(x, b0, s00);
            s01 = V.MultiplyAdd(x, b1, s01);
            x = V.All(*a1);
            s10 = V.MultiplyAdd(x, b0, s10);
            s11 = V.MultiplyAdd(x, b1, s11);
            x = V.All(*a2);
            s20 = V.MultiplyAdd(x, b0, s20);
            s21 = V.MultiplyAdd(x, b1, s21);
            x = V.All(*a3);
            s30 = V.MultiplyAdd(x, b0, s30);
            s31 = V.MultiplyAdd(x, b1, s31);
            a += aColumn;
            a1 += aColumn;
            a2 += aColumn;
            a3 += aColumn;
            b += bRow;
        }

        s00.Store(c);
        s01.Store(c + V.Count);
        s10.Store(c1);
        s11.Store(c1 + V.Count);
        s20.Store(c2);
        s21.Store(c2 + V.Count);
        s30.Store(c3);
        s31.Store(c3 + V.Count);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void Block1<V>(float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int rows, int k, bool add)
        where V : struct, ILanes<V>
    {
        nint second = Math.Min(1, rows - 1), third = Math.Min(2, rows - 1), fourth = Math.Min(3, rows - 1);
        float* a1 = a + (second * aRow), a2 = a + (third * aRow), a3 = a + (fourth * aRow);
        float* c1 = c + (second * cRow), c2 = c + (third * cRow), c3 = c + (fourth * cRow);
        V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
        if (add) (s0, s1, s2, s3) = (V.Load(c), V.Load(c1), V.Load(c2), V.Load(c3));
        for (var l = 0; l < k; l++)
        {
            var b0 = V.Load(b);
            s0 = V.MultiplyAdd(V.All(*a), b0, s0);
            s1 = V.MultiplyAdd(V.All(*a1), b0, s1);
            s2 = V.MultiplyAdd(V.All(*a2), b0, s2);
            s3 = V.MultiplyAdd(V.All(*a3), b0, s3);
            a += aColumn;
            a1 += aColumn;
            a2 += aColumn;
            a3 += aColumn;
            b += bRow;
        }

        s0.Store(c);
        s1.Store(c1);
        s2.Store(c2);
        s3.Store(c3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Load4<V>(float* from, out V first, out V second, out V third, out V fourth) where V : struct, ILanes<V>
    {
        first = V.Load(from);
        second = V.Load(from + V.Count);
        third = V.Load(from + (2 * V.Count));
        fourth = V.Load(from + (3 * V.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store4<V>(float* to, V first, V second, V third, V fourth) where V : struct, ILanes<V>
    {
        first.Store(to);
        second.Store(to + V.Count);
        third.Store(to + (2 * V.Count));
        fourth.Store(to + (3 * V.Count));
    }
}
