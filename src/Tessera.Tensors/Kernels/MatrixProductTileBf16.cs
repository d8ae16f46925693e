using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Factors rounded to BF16, computed by <see cref="Bf16Tile"/>: a strip holds, for each pair of steps, the two elements of every
/// column side by side; a panel holds rows of BF16 dense in k or, where a itself is not, pairs as a strip does.
/// </summary>
internal readonly unsafe struct MatrixProductTileBf16 : IMatrixProductTile
{
    /// <summary>From one row of a panel to the next: a line of the cache more than a piece of k, so that rows do not drive
    /// each other from it.</summary>
    private const int PanelStride = (Longest + 32) * sizeof(ushort);

    private const int Longest = 320;

    public static int Rows => Bf16Tile.MaxRows;

    public static int Columns => 2 * Bf16Tile.VectorColumns;

    public static int ElementBytes => sizeof(ushort);

    public static int StepUnit => 2;

    /// <summary>A panel and a strip stay in the first-level cache.</summary>
    public static int LongestStep => Longest;

    public static int BlockBytes => 512 * 1024;

    public static bool ReadsUnpacked => false;

    /// <summary>The last rows are shared between two tiles: low ones read b faster than it arrives.</summary>
    public static int NextRows(int left) => left <= Rows ? left : left < 2 * Rows ? (left + 1) / 2 : Rows;

    public static void PackA(in MatrixProductOperands product, int row, int rows, int step, int steps, byte* to) =>
        Bf16Packing.Panel(product, row, rows, step, steps, to, StrideOf(product));

    public static void PackB(in MatrixProductOperands product, int column, int columns, int width, int step, int steps, byte* to) =>
        Bf16Packing.Strip(product, column, columns, width, step, steps, MatrixProductBlocks.WholeSteps<MatrixProductTileBf16>(steps), to);

    public static void Run(
        in MatrixProductOperands product, int rows, int width, byte* a, byte* b, int rowB, int steps, float* c, int rowC, bool add) =>
        Bf16Tile.Run(rows, width / Bf16Tile.VectorColumns, new Bf16TileOperands
        {
            A = a, StrideA = StrideOf(product), B = b, StrideB = rowB * 2 * sizeof(ushort), C = c, StrideC = (nint)rowC * sizeof(float),
            Pairs = (steps + 1) / 2, Add = add ? 1 : 0,
        });

    /// <summary>From one row of a panel to the next; 0 for pairs.</summary>
    private static int StrideOf(in MatrixProductOperands product) => product.ColumnA == 1 ? PanelStride : 0;
}
