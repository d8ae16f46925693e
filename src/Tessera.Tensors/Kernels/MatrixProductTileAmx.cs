using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Factors rounded to BF16, computed by <see cref="AmxTiles"/>: a panel holds rows of BF16, dense in k; a strip holds, for
/// each pair of steps, the two elements of every column side by side. Both are filled with zeros to whole steps of 32.
/// <para>A block of 32 x 32 is four tiles; 32 steps of k are four loads of 1 KiB (8 cycles each from the first level) and four
/// multiplications (16 cycles each), so a core is bound by its multiplications, 1,024 operations a cycle, as long as one of
/// the panel and the strip stays in the first level: from the second come about 48 bytes a cycle, and 64 would be needed
/// for both. Hence <see cref="LongestStep"/>: panel, strip and the block of c together take 40 of 48 KiB. With 384 a model of
/// the cache (12 ways, the least recently used goes) has most of the panel read again from the second level for each strip.</para>
/// </summary>
internal readonly unsafe struct MatrixProductTileAmx : IMatrixProductTile
{
    /// <summary>From one row of a panel to the next: a line of the cache more than a piece of k, so that rows do not drive
    /// each other from it.</summary>
    private const int PanelStride = (Longest + UnitSteps) * sizeof(ushort);

    private const int Longest = 288;

    private const int UnitSteps = AmxShape.WholeStep / sizeof(ushort);

    public static int Rows => AmxShape.MaxRows;

    public static int Columns => AmxShape.MaxColumns;

    public static int ElementBytes => sizeof(ushort);

    public static int StepUnit => UnitSteps;

    public static int LongestStep => Longest;

    /// <summary>Half of the second-level cache, the rest of which c and the rows of a go through.</summary>
    public static int BlockBytes => MatrixProductPacking.BlockBytes;

    public static bool ReadsUnpacked => false;

    /// <summary>Multiplications take as many cycles as there are rows, so a low tile at the end costs little.</summary>
    public static int NextRows(int left) => Math.Min(left, Rows);

    public static void PackA(in MatrixProductOperands product, int row, int rows, int step, int steps, byte* to) =>
        Bf16Packing.Panel(product, row, rows, step, steps, to, PanelStride);

    public static void PackB(in MatrixProductOperands product, int column, int columns, int width, int step, int steps, byte* to) =>
        Bf16Packing.Strip(product, column, columns, width, step, steps, Whole(steps), to);

    public static void Run(
        in MatrixProductOperands product, int rows, int width, byte* a, byte* b, int rowB, int steps, float* c, int rowC, bool add)
    {
        const int PairBytes = 2 * sizeof(ushort);
        AmxTiles.Multiply(AmxNumbers.BFloat16, new AmxShape(rows, width), new AmxOperands
        {
            A = a, RowA = PanelStride, StepA = AmxShape.WholeStep,
            B = b, RowB = (nint)rowB * PairBytes, StepB = (nint)rowB * AmxShape.TileRows * PairBytes,
            C = c, RowC = (nint)rowC * sizeof(float),
            Steps = Whole(steps) / UnitSteps, Add = add ? 1 : 0,
        });
    }

    private static int Whole(int steps) => MatrixProductBlocks.WholeSteps<MatrixProductTileAmx>(steps);
}
