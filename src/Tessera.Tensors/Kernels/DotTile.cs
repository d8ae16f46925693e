using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>Numbers in memory that are widened to floats as they are read.</summary>
internal unsafe interface IElements
{
    /// <summary>Bytes of one.</summary>
    static abstract int Bytes { get; }

    /// <summary>As many as a vector has lanes.</summary>
    static abstract V Load<V>(byte* from) where V : struct, ILanes<V>;
}

/// <summary>F32 numbers.</summary>
internal readonly unsafe struct SingleElements : IElements
{
    public static int Bytes => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(byte* from) where V : struct, ILanes<V> => V.Load((float*)from);
}

/// <summary>BF16 numbers.</summary>
internal readonly unsafe struct BrainElements : IElements
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(byte* from) where V : struct, ILanes<V> => V.LoadBrain((ushort*)from);
}

/// <summary>F16 numbers.</summary>
internal readonly unsafe struct HalfElements : IElements
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<V>(byte* from) where V : struct, ILanes<V> => V.LoadHalf((ushort*)from);
}

/// <summary>
/// Dot products of up to four rows of floats with up to four rows of anything, dense along the sum: the products of few rows, in
/// which the other side is read once, where it lies.
/// </summary>
internal static unsafe class DotTile
{
    /// <summary>The most rows of either side.</summary>
    public const int Max = 4;

    private const int Ahead = 4096;

    /// <summary>Sums the whole vectors of each pair of rows.</summary>
    /// <param name="rows">Rows of x: 1, 2 or 4.</param>
    /// <param name="others">Rows of w: 1 or 4.</param>
    /// <param name="x">The first row of x.</param>
    /// <param name="rowX">Elements from one row of x to the next.</param>
    /// <param name="w">The first row of w.</param>
    /// <param name="rowW">Bytes from one row of w to the next.</param>
    /// <param name="whole">How many whole vectors a row has.</param>
    /// <param name="sums">[<see cref="Max"/>, <see cref="Max"/>] vectors, whose lanes are still to be added up.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Sum<V, E>(int rows, int others, float* x, long rowX, byte* w, long rowW, int whole, float* sums)
        where V : struct, ILanes<V>
        where E : struct, IElements
    {
        switch (rows, others)
        {
            case (4, Max): Sum<V, E, Four, Four>(x, rowX, w, rowW, whole, sums); break;
            case (2, Max): Sum<V, E, Two, Four>(x, rowX, w, rowW, whole, sums); break;
            case (1, Max): Sum<V, E, One, Four>(x, rowX, w, rowW, whole, sums); break;
            case (4, 1): Sum<V, E, Four, One>(x, rowX, w, rowW, whole, sums); break;
            case (2, 1): Sum<V, E, Two, One>(x, rowX, w, rowW, whole, sums); break;
            default: SumOne<V, E>(x, w, whole, sums); break;
        }
    }

    /// <summary>Nothing is called from here, so that sums stay in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Sum<V, E, TRows, TOthers>(float* x, long rowX, byte* w, long rowW, int whole, float* sums)
        where V : struct, ILanes<V>
        where E : struct, IElements
        where TRows : struct, IKnown
        where TOthers : struct, IKnown
    {
        V s00 = V.Zero, s01 = V.Zero, s02 = V.Zero, s03 = V.Zero;
        V s10 = V.Zero, s11 = V.Zero, s12 = V.Zero, s13 = V.Zero;
        V s20 = V.Zero, s21 = V.Zero, s22 = V.Zero, s23 = V.Zero;
        V s30 = V.Zero, s31 = V.Zero, s32 = V.Zero, s33 = V.Zero;
        for (; whole > 0; whole--)
        {
            V w0 = E.Load<V>(w), w1 = V.Zero, w2 = V.Zero, w3 = V.Zero;
            if (E.Bytes < sizeof(float)) FetchAhead(w);
            if (TOthers.Count > 1)
            {
                if (E.Bytes < sizeof(float))
                {
                    FetchAhead(w + rowW);
                    FetchAhead(w + (2 * rowW));
                    FetchAhead(w + (3 * rowW));
                }

                w1 = E.Load<V>(w + rowW);
                w2 = E.Load<V>(w + (2 * rowW));
                w3 = E.Load<V>(w + (3 * rowW));
            }

            Step<V, TOthers>(V.Load(x), w0, w1, w2, w3, ref s00, ref s01, ref s02, ref s03);
            if (TRows.Count > 1) Step<V, TOthers>(V.Load(x + rowX), w0, w1, w2, w3, ref s10, ref s11, ref s12, ref s13);
            if (TRows.Count > 2) Step<V, TOthers>(V.Load(x + (2 * rowX)), w0, w1, w2, w3, ref s20, ref s21, ref s22, ref s23);
            if (TRows.Count > 3) Step<V, TOthers>(V.Load(x + (3 * rowX)), w0, w1, w2, w3, ref s30, ref s31, ref s32, ref s33);
            w += V.Count * E.Bytes;
            x += V.Count;
        }

        Store<V, TOthers>(s00, s01, s02, s03, sums);
        if (TRows.Count > 1) Store<V, TOthers>(s10, s11, s12, s13, sums + (Max * V.Count));
        if (TRows.Count > 2) Store<V, TOthers>(s20, s21, s22, s23, sums + (2 * Max * V.Count));
        if (TRows.Count > 3) Store<V, TOthers>(s30, s31, s32, s33, sums + (3 * Max * V.Count));
    }

    /// <summary>One row with one: four sums, so that additions need not wait for each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void SumOne<V, E>(float* x, byte* w, int whole, float* sums)
        where V : struct, ILanes<V>
        where E : struct, IElements
    {
        var step = V.Count * E.Bytes;
        V s0 = V.Zero, s1 = V.Zero, s2 = V.Zero, s3 = V.Zero;
        for (; whole >= 4; whole -= 4, w += 4 * step, x += 4 * V.Count)
        {
            if (E.Bytes < sizeof(float))
            {
                FetchAhead(w);
                if (V.Count == 16) FetchAhead(w + (2 * step));
            }

            s0 = V.MultiplyAdd(E.Load<V>(w), V.Load(x), s0);
            s1 = V.MultiplyAdd(E.Load<V>(w + step), V.Load(x + V.Count), s1);
            s2 = V.MultiplyAdd(E.Load<V>(w + (2 * step)), V.Load(x + (2 * V.Count)), s2);
            s3 = V.MultiplyAdd(E.Load<V>(w + (3 * step)), V.Load(x + (3 * V.Count)), s3);
        }

        s0 = s0 + s1 + (s2 + s3);
        for (; whole > 0; whole--, w += step, x += V.Count) s0 = V.MultiplyAdd(E.Load<V>(w), V.Load(x), s0);
        s0.Store(sums);
    }

    /// <summary>Asks for memory further ahead than the processor does by itself, and across pages.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FetchAhead(byte* w)
    {
        if (Sse.IsSupported) Sse.Prefetch0(w + Ahead);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<V, TOthers>(V x, V w0, V w1, V w2, V w3, ref V sum0, ref V sum1, ref V sum2, ref V sum3)
        where V : struct, ILanes<V>
        where TOthers : struct, IKnown
    {
        sum0 = V.MultiplyAdd(x, w0, sum0);
        if (TOthers.Count == 1) return;
        sum1 = V.MultiplyAdd(x, w1, sum1);
        sum2 = V.MultiplyAdd(x, w2, sum2);
        sum3 = V.MultiplyAdd(x, w3, sum3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<V, TOthers>(V sum0, V sum1, V sum2, V sum3, float* to)
        where V : struct, ILanes<V>
        where TOthers : struct, IKnown
    {
        sum0.Store(to);
        if (TOthers.Count == 1) return;
        sum1.Store(to + V.Count);
        sum2.Store(to + (2 * V.Count));
        sum3.Store(to + (3 * V.Count));
    }
}
