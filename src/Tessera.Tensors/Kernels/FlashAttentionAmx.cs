using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Factors in BF16, multiplied by <see cref="AmxTiles"/>: for <see cref="KernelLevel.Amx"/>. Words are those of
/// <see cref="AttentionBf16"/>, which is what tiles take: rows of the left factor are dense along the sum, the right factor has a word
/// of each column side by side. Sums take whole steps of 16 words, and what is a left factor in a sum over the keys is packed turned.
/// </summary>
internal readonly unsafe struct AttentionAmx : IAttentionFactors<Lanes512>
{
    private const int StepWords = AmxShape.WholeStep / sizeof(float), TileWords = FlashAttentionTile.Size / 2;

    /// <summary>Whether queries are enough to pack keys and values for: by estimate that takes about as long as F32 products with 30 queries,
    /// besides memory that is written and read once more. The few queries over a long cache that decoding has are not.</summary>
    public static bool Pays(int queries, int keys) => queries > FlashAttentionTile.Size || 4 * (long)queries > keys;

    public static int PerWord => AttentionBf16.PerWord;

    public static int Words(int numbers) => FlashAttention.RoundUp(AttentionBf16.Words(numbers), StepWords);

    public static void PackAlong(float* row, int width, float* to) => AttentionBf16.PackAlong(row, width, Words(width), to);

    public static void PackRows(float* from, nint stride, int rows, int halves, int width, float factor, float* to, int paddedWidth)
    {
        AttentionBf16.PackRows(from, stride, rows, halves, width, factor, to, paddedWidth);
        ClearEnd(to, halves, paddedWidth);
    }

    public static void PackSums(float* rows, nint stride, int keys, int width, float* room, float* to)
    {
        FlashAttentionTranspose.Run(rows, stride, keys, width, 1, room, FlashAttentionTile.Size);
        for (var d = 0; d < width; d++) PackAlong(room + (d * FlashAttentionTile.Size), keys, to + (d * TileWords));
    }

    public static (nint Number, nint Word) SumStrides(nint width) => (TileWords, 1);

    public static void FoldRows(float* numbers, int rows, int lanes)
    {
        AttentionBf16.FoldRows(numbers, rows, lanes);
        ClearEnd(numbers, rows, lanes);
    }

    public static float* FoldLanes(float* numbers, int rows, int lanes, float* room) =>
        AttentionBf16.FoldLanes(numbers, rows, lanes, room);

    public static void Multiply(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int m, int n, int k, bool add)
    {
        // Along the rows first: where the last ones are fewer, the tiles' shape changes once.
        for (var row = 0; row < m; row += AmxShape.MaxRows)
        {
            var shape = new AmxShape(Math.Min(AmxShape.MaxRows, m - row), AmxShape.MaxColumns);
            for (var column = 0; column < n; column += AmxShape.MaxColumns)
            {
                AmxTiles.Multiply(AmxNumbers.BFloat16, shape, new AmxOperands
                {
                    A = a + (row * aRow), RowA = aRow * sizeof(float), StepA = AmxShape.WholeStep,
                    B = b + column, RowB = bRow * sizeof(float), StepB = StepWords * bRow * sizeof(float),
                    C = c + (row * cRow) + column, RowC = cRow * sizeof(float),
                    Steps = k / StepWords, Add = add ? 1 : 0,
                });
            }
        }
    }

    private static void ClearEnd(float* words, int numbers, int width)
    {
        var (used, all) = (AttentionBf16.Words(numbers), Words(numbers));
        new Span<float>(words + (used * (nint)width), (all - used) * width).Clear();
    }
}
