using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>A number the compiler knows, to fix the shape of a tile.</summary>
internal interface IKnown
{
    static abstract int Count { get; }
}

internal readonly struct One : IKnown { public static int Count => 1; }

internal readonly struct Two : IKnown { public static int Count => 2; }

internal readonly struct Four : IKnown { public static int Count => 4; }

internal readonly struct Three : IKnown { public static int Count => 3; }

internal readonly struct Five : IKnown { public static int Count => 5; }

internal readonly struct Six : IKnown { public static int Count => 6; }

internal readonly struct Seven : IKnown { public static int Count => 7; }

internal readonly struct Eight : IKnown { public static int Count => 8; }

internal readonly struct Nine : IKnown { public static int Count => 9; }

internal readonly struct Ten : IKnown { public static int Count => 10; }

internal readonly struct Eleven : IKnown { public static int Count => 11; }

internal readonly struct Twelve : IKnown { public static int Count => 12; }

/// <summary>How the elements of a panel of a lie: element (row, k) at <c>row · Row + k · Step(rows)</c>.</summary>
internal interface IPanelLayout
{
    /// <summary>From a row to the next.</summary>
    static abstract int Row { get; }

    /// <summary>From a step of k to the next in a panel of so many rows.</summary>
    static abstract int Step(int rows);
}

/// <summary>For each step of k one element of every row: for an a whose columns are dense.</summary>
internal readonly struct StepsTogether : IPanelLayout
{
    public static int Row => 1;

    public static int Step(int rows) => rows;
}

/// <summary>Rows dense in k, a line of the cache more than the longest piece of k apart, so that they do not drive each other from it:
/// for an a whose rows are dense, which are copied three times as fast as they are transposed.</summary>
internal readonly struct RowsTogether : IPanelLayout
{
    public static int Row => MatrixProductTile.LongestStep + 16;

    public static int Step(int rows) => 1;
}

/// <summary>The innermost loop of a matrix product: a tile of c that stays in registers while k goes by.</summary>
internal static unsafe class MatrixProductTile
{
    /// <summary>The most rows a tile has: with two vectors a row, 24 of 32 registers for AVX-512 and ARM64, 12 of 16 elsewhere.</summary>
    public static int Rows<V>() where V : struct, ILanes<V> => HasManyRegisters<V>() ? 12 : 6;

    /// <summary>The columns of a full tile: two vectors.</summary>
    public static int Columns<V>() where V : struct, ILanes<V> => 2 * V.Count;

    /// <summary>The longest piece of k: a panel stays in the first-level cache.</summary>
    public const int LongestStep = 384;

    /// <summary>The height of the next tile when <paramref name="left"/> rows are left: the last rows are shared between two tiles, because
    /// low ones wait for their sums.</summary>
    public static int NextRows<V>(int left) where V : struct, ILanes<V> =>
        left <= Rows<V>() ? left : left < 2 * Rows<V>() ? (left + 1) / 2 : Rows<V>();

    /// <summary>Runs the tile of one of the heights that <see cref="NextRows"/> gives.</summary>
    /// <param name="rows">The tile's rows.</param>
    /// <param name="a">A panel of k × rows, packed.</param>
    /// <param name="b">k rows of as many vectors as <typeparamref name="TVectors"/> says, <paramref name="rowB"/> apart.</param>
    /// <param name="rowB">Floats from one row of b to the next.</param>
    /// <param name="k">How many products each element sums; may be 0.</param>
    /// <param name="c">Where the tile is stored.</param>
    /// <param name="rowC">Floats from one row of c to the next.</param>
    /// <param name="add">Whether to add to what c holds.</param>
    public static void Run<V, TPanel, TVectors>(int rows, float* a, float* b, int rowB, int k, float* c, int rowC, bool add)
        where V : struct, ILanes<V>
        where TPanel : struct, IPanelLayout
        where TVectors : struct, IKnown
    {
        switch (rows)
        {
            case 12: Tile<V, TPanel, Twelve, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 11: Tile<V, TPanel, Eleven, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 10: Tile<V, TPanel, Ten, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 9: Tile<V, TPanel, Nine, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 8: Tile<V, TPanel, Eight, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 7: Tile<V, TPanel, Seven, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 6: Tile<V, TPanel, Six, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 5: Tile<V, TPanel, Five, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 4: Tile<V, TPanel, Four, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 3: Tile<V, TPanel, Three, TVectors>(a, b, rowB, k, c, rowC, add); break;
            case 2: Tile<V, TPanel, Two, TVectors>(a, b, rowB, k, c, rowC, add); break;
            default: Tile<V, TPanel, One, TVectors>(a, b, rowB, k, c, rowC, add); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool HasManyRegisters<V>() where V : struct, ILanes<V> =>
        V.Count == 16 || (V.Count == 4 && AdvSimd.Arm64.IsSupported);

    // Every accumulator is a local of its own because only those are kept in registers; rows and vectors that the tile
    // does not have are removed by the compiler, which knows both counts.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<V, TPanel, TRows, TVectors>(float* a, float* b, int rowB, int k, float* c, int rowC, bool add)
        where V : struct, ILanes<V>
        where TPanel : struct, IPanelLayout
        where TRows : struct, IKnown
        where TVectors : struct, IKnown
    {
        V c0l = V.Zero, c0r = V.Zero, c1l = V.Zero, c1r = V.Zero;
        V c2l = V.Zero, c2r = V.Zero, c3l = V.Zero, c3r = V.Zero;
        V c4l = V.Zero, c4r = V.Zero, c5l = V.Zero, c5r = V.Zero;
        V c6l = V.Zero, c6r = V.Zero, c7l = V.Zero, c7r = V.Zero;
        V c8l = V.Zero, c8r = V.Zero, c9l = V.Zero, c9r = V.Zero;
        V c10l = V.Zero, c10r = V.Zero, c11l = V.Zero, c11r = V.Zero;
        if (Sse.IsSupported)
        {
            // Asked for now, c is there by when the sums are.
            var row = c;
            for (var i = 0; i < TRows.Count; i++, row += rowC)
            {
                Sse.Prefetch0(row);
                if (TVectors.Count * V.Count > 16) Sse.Prefetch0(row + V.Count);
            }
        }

        for (; k > 0; k--)
        {
            V left = V.Load(b), right = TVectors.Count > 1 ? V.Load(b + V.Count) : V.Zero;
            if (V.MultipliesByLane && TPanel.Row == 1 && TRows.Count % 4 == 0)
            {
                Four<V, TVectors>(V.Load(a), left, right, ref c0l, ref c0r, ref c1l, ref c1r, ref c2l, ref c2r, ref c3l, ref c3r);
                if (TRows.Count > 4)
                    Four<V, TVectors>(V.Load(a + 4), left, right, ref c4l, ref c4r, ref c5l, ref c5r, ref c6l, ref c6r, ref c7l, ref c7r);
                if (TRows.Count > 8)
                    Four<V, TVectors>(
                        V.Load(a + 8), left, right, ref c8l, ref c8r, ref c9l, ref c9r, ref c10l, ref c10r, ref c11l, ref c11r);
            }
            else
            {
                Step<V, TVectors>(a[0], left, right, ref c0l, ref c0r);
                if (TRows.Count > 1) Step<V, TVectors>(a[TPanel.Row], left, right, ref c1l, ref c1r);
                if (TRows.Count > 2) Step<V, TVectors>(a[2 * TPanel.Row], left, right, ref c2l, ref c2r);
                if (TRows.Count > 3) Step<V, TVectors>(a[3 * TPanel.Row], left, right, ref c3l, ref c3r);
                if (TRows.Count > 4) Step<V, TVectors>(a[4 * TPanel.Row], left, right, ref c4l, ref c4r);
                if (TRows.Count > 5) Step<V, TVectors>(a[5 * TPanel.Row], left, right, ref c5l, ref c5r);
                if (TRows.Count > 6) Step<V, TVectors>(a[6 * TPanel.Row], left, right, ref c6l, ref c6r);
                if (TRows.Count > 7) Step<V, TVectors>(a[7 * TPanel.Row], left, right, ref c7l, ref c7r);
                if (TRows.Count > 8) Step<V, TVectors>(a[8 * TPanel.Row], left, right, ref c8l, ref c8r);
                if (TRows.Count > 9) Step<V, TVectors>(a[9 * TPanel.Row], left, right, ref c9l, ref c9r);
                if (TRows.Count > 10) Step<V, TVectors>(a[10 * TPanel.Row], left, right, ref c10l, ref c10r);
                if (TRows.Count > 11) Step<V, TVectors>(a[11 * TPanel.Row], left, right, ref c11l, ref c11r);
            }

            a += TPanel.Step(TRows.Count);
            b += rowB;
        }

        Store<V, TVectors>(c0l, c0r, c, add);
        if (TRows.Count > 1) Store<V, TVectors>(c1l, c1r, c + rowC, add);
        if (TRows.Count > 2) Store<V, TVectors>(c2l, c2r, c + ((long)2 * rowC), add);
        if (TRows.Count > 3) Store<V, TVectors>(c3l, c3r, c + ((long)3 * rowC), add);
        if (TRows.Count > 4) Store<V, TVectors>(c4l, c4r, c + ((long)4 * rowC), add);
        if (TRows.Count > 5) Store<V, TVectors>(c5l, c5r, c + ((long)5 * rowC), add);
        if (TRows.Count > 6) Store<V, TVectors>(c6l, c6r, c + ((long)6 * rowC), add);
        if (TRows.Count > 7) Store<V, TVectors>(c7l, c7r, c + ((long)7 * rowC), add);
        if (TRows.Count > 8) Store<V, TVectors>(c8l, c8r, c + ((long)8 * rowC), add);
        if (TRows.Count > 9) Store<V, TVectors>(c9l, c9r, c + ((long)9 * rowC), add);
        if (TRows.Count > 10) Store<V, TVectors>(c10l, c10r, c + ((long)10 * rowC), add);
        if (TRows.Count > 11) Store<V, TVectors>(c11l, c11r, c + ((long)11 * rowC), add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<V, TVectors>(float a, V left, V right, ref V sumLeft, ref V sumRight)
        where V : struct, ILanes<V>
        where TVectors : struct, IKnown
    {
        var all = V.All(a);
        sumLeft = V.MultiplyAdd(all, left, sumLeft);
        if (TVectors.Count > 1) sumRight = V.MultiplyAdd(all, right, sumRight);
    }

    /// <summary>The elements of four rows in one vector, for processors that multiply by one lane of it (ARM64).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Four<V, TVectors>(
        V four, V left, V right, ref V l0, ref V r0, ref V l1, ref V r1, ref V l2, ref V r2, ref V l3, ref V r3)
        where V : struct, ILanes<V>
        where TVectors : struct, IKnown
    {
        (l0, l1) = (V.MultiplyAdd(left, four, 0, l0), V.MultiplyAdd(left, four, 1, l1));
        (l2, l3) = (V.MultiplyAdd(left, four, 2, l2), V.MultiplyAdd(left, four, 3, l3));
        if (TVectors.Count == 1) return;
        (r0, r1) = (V.MultiplyAdd(right, four, 0, r0), V.MultiplyAdd(right, four, 1, r1));
        (r2, r3) = (V.MultiplyAdd(right, four, 2, r2), V.MultiplyAdd(right, four, 3, r3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<V, TVectors>(V left, V right, float* c, bool add)
        where V : struct, ILanes<V>
        where TVectors : struct, IKnown
    {
        (add ? V.Load(c) + left : left).Store(c);
        if (TVectors.Count > 1) (add ? V.Load(c + V.Count) + right : right).Store(c + V.Count);
    }
}
