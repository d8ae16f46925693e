using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>What a tile of dot products adds to: elements of c, from where they are or from a row of numbers.</summary>
internal readonly unsafe record struct DotTarget(nint C, long RowC, nint Bias, bool Add)
{
    /// <summary>Four neighbours in a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Put(int row, Vector128<float> sums)
    {
        var c = (float*)C + (row * RowC);
        if (Bias != 0) sums += Vector128.Load((float*)Bias);
        if (Add) sums += Vector128.Load(c);
        sums.Store(c);
    }

    /// <summary>One element of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Put(int row, float sum)
    {
        var c = (float*)C + (row * RowC);
        if (Bias != 0) sum += *(float*)Bias;
        *c = Add ? *c + sum : sum;
    }
}

/// <summary>
/// The innermost loop of <see cref="MatrixProductDots"/>: dot products of up to six rows of floats with up to four rows of anything, all
/// dense along the sum, none of them copied. Six by four are as many sums as AVX-512 has registers for; elsewhere it is two by four.
/// The lanes of four sums are added up together.
/// </summary>
internal static unsafe class MatrixProductDotTile
{
    /// <summary>The most rows of w.</summary>
    public const int Columns = 4;

    /// <summary>The most rows of x.</summary>
    public static int Rows<V>() where V : struct, ILanes<V> => V.Count == 16 ? 6 : 2;

    /// <summary>Computes a tile of c.</summary>
    /// <param name="rows">Rows of x: 1 to <see cref="Rows"/>.</param>
    /// <param name="columns">Rows of w: 1 or <see cref="Columns"/>.</param>
    /// <param name="x">The first row of x.</param>
    /// <param name="rowX">Elements from one row of x to the next.</param>
    /// <param name="w">The first row of w.</param>
    /// <param name="rowW">Bytes from one row of w to the next.</param>
    /// <param name="k">How many products each element sums, at least as many as a vector has lanes.</param>
    /// <param name="c">What the sums are added to.</param>
    public static void Run<V, E>(int rows, int columns, float* x, long rowX, byte* w, long rowW, int k, in DotTarget c)
        where V : struct, ILanes<V>
        where E : struct, IElements
    {
        if (columns == Columns) Run<V, E, Four>(rows, x, rowX, w, rowW, k, c);
        else Run<V, E, One>(rows, x, rowX, w, rowW, k, c);
    }

    private static void Run<V, E, TColumns>(int rows, float* x, long rowX, byte* w, long rowW, int k, in DotTarget c)
        where V : struct, ILanes<V>
        where E : struct, IElements
        where TColumns : struct, IKnown
    {
        switch (rows)
        {
            case 6: Tile<V, E, Six, TColumns>(x, rowX, w, rowW, k, c); break;
            case 5: Tile<V, E, Five, TColumns>(x, rowX, w, rowW, k, c); break;
            case 4: Tile<V, E, Four, TColumns>(x, rowX, w, rowW, k, c); break;
            case 3: Tile<V, E, Three, TColumns>(x, rowX, w, rowW, k, c); break;
            case 2: Tile<V, E, Two, TColumns>(x, rowX, w, rowW, k, c); break;
            default: Tile<V, E, One, TColumns>(x, rowX, w, rowW, k, c); break;
        }
    }

    // As in MatrixProductTile: sums are locals, and what the tile does not have is removed by the compiler.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile<V, E, TRows, TColumns>(float* x, long rowX, byte* w, long rowW, int k, in DotTarget c)
        where V : struct, ILanes<V>
        where E : struct, IElements
        where TRows : struct, IKnown
        where TColumns : struct, IKnown
    {
        V s00 = V.Zero, s01 = V.Zero, s02 = V.Zero, s03 = V.Zero;
        V s10 = V.Zero, s11 = V.Zero, s12 = V.Zero, s13 = V.Zero;
        V s20 = V.Zero, s21 = V.Zero, s22 = V.Zero, s23 = V.Zero;
        V s30 = V.Zero, s31 = V.Zero, s32 = V.Zero, s33 = V.Zero;
        V s40 = V.Zero, s41 = V.Zero, s42 = V.Zero, s43 = V.Zero;
        V s50 = V.Zero, s51 = V.Zero, s52 = V.Zero, s53 = V.Zero;
        V w0, w1 = V.Zero, w2 = V.Zero, w3 = V.Zero;
        for (; k >= V.Count; k -= V.Count)
        {
            w0 = E.Load<V>(w);
            if (TColumns.Count > 1) (w1, w2, w3) = (E.Load<V>(w + rowW), E.Load<V>(w + (2 * rowW)), E.Load<V>(w + (3 * rowW)));
            Step<V, TColumns>(V.Load(x), w0, w1, w2, w3, ref s00, ref s01, ref s02, ref s03);
            if (TRows.Count > 1) Step<V, TColumns>(V.Load(x + rowX), w0, w1, w2, w3, ref s10, ref s11, ref s12, ref s13);
            if (TRows.Count > 2) Step<V, TColumns>(V.Load(x + (2 * rowX)), w0, w1, w2, w3, ref s20, ref s21, ref s22, ref s23);
            if (TRows.Count > 3) Step<V, TColumns>(V.Load(x + (3 * rowX)), w0, w1, w2, w3, ref s30, ref s31, ref s32, ref s33);
            if (TRows.Count > 4) Step<V, TColumns>(V.Load(x + (4 * rowX)), w0, w1, w2, w3, ref s40, ref s41, ref s42, ref s43);
            if (TRows.Count > 5) Step<V, TColumns>(V.Load(x + (5 * rowX)), w0, w1, w2, w3, ref s50, ref s51, ref s52, ref s53);
            w += V.Count * E.Bytes;
            x += V.Count;
        }

        if (k > 0)
        {
            // The last vectors overlap the ones before; what those have counted is left out.
            w -= (V.Count - k) * E.Bytes;
            x -= V.Count - k;
            var bits = uint.MaxValue << (V.Count - k);
            w0 = Last(bits, E.Load<V>(w));
            if (TColumns.Count > 1)
            {
                w1 = Last(bits, E.Load<V>(w + rowW));
                w2 = Last(bits, E.Load<V>(w + (2 * rowW)));
                w3 = Last(bits, E.Load<V>(w + (3 * rowW)));
            }

            Step<V, TColumns>(Last(bits, V.Load(x)), w0, w1, w2, w3, ref s00, ref s01, ref s02, ref s03);
            if (TRows.Count > 1) Step<V, TColumns>(Last(bits, V.Load(x + rowX)), w0, w1, w2, w3, ref s10, ref s11, ref s12, ref s13);
            if (TRows.Count > 2) Step<V, TColumns>(Last(bits, V.Load(x + (2 * rowX))), w0, w1, w2, w3, ref s20, ref s21, ref s22, ref s23);
            if (TRows.Count > 3) Step<V, TColumns>(Last(bits, V.Load(x + (3 * rowX))), w0, w1, w2, w3, ref s30, ref s31, ref s32, ref s33);
            if (TRows.Count > 4) Step<V, TColumns>(Last(bits, V.Load(x + (4 * rowX))), w0, w1, w2, w3, ref s40, ref s41, ref s42, ref s43);
            if (TRows.Count > 5) Step<V, TColumns>(Last(bits, V.Load(x + (5 * rowX))), w0, w1, w2, w3, ref s50, ref s51, ref s52, ref s53);
        }

        Store<V, TColumns>(c, 0, s00, s01, s02, s03);
        if (TRows.Count > 1) Store<V, TColumns>(c, 1, s10, s11, s12, s13);
        if (TRows.Count > 2) Store<V, TColumns>(c, 2, s20, s21, s22, s23);
        if (TRows.Count > 3) Store<V, TColumns>(c, 3, s30, s31, s32, s33);
        if (TRows.Count > 4) Store<V, TColumns>(c, 4, s40, s41, s42, s43);
        if (TRows.Count > 5) Store<V, TColumns>(c, 5, s50, s51, s52, s53);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Last<V>(uint bits, V value) where V : struct, ILanes<V> => V.Where(bits, value, V.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<V, TColumns>(V x, V w0, V w1, V w2, V w3, ref V sum0, ref V sum1, ref V sum2, ref V sum3)
        where V : struct, ILanes<V>
        where TColumns : struct, IKnown
    {
        sum0 = V.MultiplyAdd(x, w0, sum0);
        if (TColumns.Count == 1) return;
        sum1 = V.MultiplyAdd(x, w1, sum1);
        sum2 = V.MultiplyAdd(x, w2, sum2);
        sum3 = V.MultiplyAdd(x, w3, sum3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<V, TColumns>(in DotTarget c, int row, V sum0, V sum1, V sum2, V sum3)
        where V : struct, ILanes<V>
        where TColumns : struct, IKnown
    {
        if (TColumns.Count == 1) c.Put(row, sum0.Sum());
        else c.Put(row, Sums(sum0, sum1, sum2, sum3));
    }

    /// <summary>The sums of the lanes of four vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Sums<V>(V a, V b, V c, V d) where V : struct, ILanes<V>
    {
        if (typeof(V) == typeof(Lanes512) && Avx512F.IsSupported)
        {
            var (ab, cd) = (Pairs(Wide(a), Wide(b)).AsDouble(), Pairs(Wide(c), Wide(d)).AsDouble());
            var all = Avx512F.UnpackLow(ab, cd).AsSingle() + Avx512F.UnpackHigh(ab, cd).AsSingle();
            var half = all.GetLower() + all.GetUpper();
            return half.GetLower() + half.GetUpper();
        }

        if (typeof(V) == typeof(Lanes256) && Avx.IsSupported)
        {
            var all = Avx.HorizontalAdd(Avx.HorizontalAdd(Half(a), Half(b)), Avx.HorizontalAdd(Half(c), Half(d)));
            return all.GetLower() + all.GetUpper();
        }

        return Vector128.Create(a.Sum(), b.Sum(), c.Sum(), d.Sum());
    }

    /// <summary>In each quarter: two sums of a, two of b, in turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Pairs(Vector512<float> a, Vector512<float> b) => Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Half<V>(V value) where V : struct, ILanes<V> => Unsafe.BitCast<V, Vector256<float>>(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Wide<V>(V value) where V : struct, ILanes<V> => Unsafe.BitCast<V, Vector512<float>>(value);
}
