namespace Tessera.Tensors.Kernels;

/// <summary>Who multiplies the factors of attention's products.</summary>
internal enum AttentionFactors
{
    /// <summary><see cref="AttentionF32{V}"/>.</summary>
    F32,

    /// <summary><see cref="AttentionBf16"/>.</summary>
    Bf16Dots,

    /// <summary><see cref="AttentionAmx"/>.</summary>
    Bf16Tiles,
}

/// <summary>
/// In which numbers the factors of attention's products are. They are kept in 32-bit words: an F32, or two BF16 that are
/// multiplied with those of another word and added. Which two go into a word is free as long as both factors agree; here a
/// number of the first half of what is summed over is paired with one of the second half, so that vectors are combined lane by lane.
/// </summary>
internal unsafe interface IAttentionFactors<V> where V : struct, ILanes<V>
{
    /// <summary>Numbers in a word: 1 or 2.</summary>
    static abstract int PerWord { get; }

    /// <summary>Words that a sum over some numbers takes, with zeros at its end where it must have more.</summary>
    static abstract int Words(int numbers);

    /// <summary>Puts a row of inputs into <see cref="Words"/>: its first half with its second.</summary>
    static abstract void PackAlong(float* row, int width, float* to);

    /// <summary>Puts rows of numbers, times a factor, into words: row j of the first half with row j of the second, an odd one out with
    /// zeros; <see cref="Words"/> rows in all. May be done in place.</summary>
    /// <param name="from">Rows of inputs, <paramref name="stride"/> apart.</param>
    /// <param name="stride">Numbers between rows.</param>
    /// <param name="rows">How many rows there are.</param>
    /// <param name="halves">How many rows there would be, the others being zero; the halves are of these.</param>
    /// <param name="width">Numbers in a row.</param>
    /// <param name="factor">What numbers are multiplied by.</param>
    /// <param name="to">Rows of words.</param>
    /// <param name="paddedWidth">Words in a row, zero beyond <paramref name="width"/>.</param>
    static abstract void PackRows(float* from, nint stride, int rows, int halves, int width, float factor, float* to, int paddedWidth);

    /// <summary>Puts the rows of a tile of keys into words, for sums over the keys in which they are the left factor.</summary>
    /// <param name="rows">Rows of inputs, <paramref name="stride"/> apart.</param>
    /// <param name="stride">Numbers between rows.</param>
    /// <param name="keys">How many rows there are.</param>
    /// <param name="width">Numbers in a row.</param>
    /// <param name="room">[width, tile].</param>
    /// <param name="to">[tile / <see cref="PerWord"/>, width], laid out as <see cref="SumStrides"/> says.</param>
    static abstract void PackSums(float* rows, nint stride, int keys, int width, float* room, float* to);

    /// <summary>How many words apart, in a tile of keys so packed, two numbers of a key are and two words of a sum; F32 need not be
    /// packed.</summary>
    /// <param name="width">Numbers in a row, or from a row to the next.</param>
    static abstract (nint Number, nint Word) SumStrides(nint width);

    /// <summary>Puts rows of computed numbers into words as <see cref="PackRows"/> does, in place.</summary>
    static abstract void FoldRows(float* numbers, int rows, int lanes);

    /// <summary>Puts the numbers of each row into words, the first half of the row with the second.</summary>
    /// <returns>Where the words are, rows of <paramref name="lanes"/> / <see cref="PerWord"/>: in <paramref name="room"/> (which may be
    /// <paramref name="numbers"/>) or where they were.</returns>
    static abstract float* FoldLanes(float* numbers, int rows, int lanes, float* room);

    /// <summary>The product of words: see <see cref="FlashAttentionProduct.Run{V}"/>; <paramref name="n"/> is a multiple of the lanes
    /// times <see cref="PerWord"/>, <paramref name="k"/> counts words.</summary>
    static abstract void Multiply(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int m, int n, int k, bool add);
}

/// <summary>Factors in F32.</summary>
internal readonly unsafe struct AttentionF32<V> : IAttentionFactors<V> where V : struct, ILanes<V>
{
    public static int PerWord => 1;

    public static int Words(int numbers) => numbers;

    public static void PackRows(float* from, nint stride, int rows, int halves, int width, float factor, float* to, int paddedWidth)
    {
        for (var row = 0; row < halves; row++, to += paddedWidth)
        {
            var count = row < rows ? width : 0;
            FlashAttention.ScaleRow<V>(from + (row * stride), factor, count, to);
            new Span<float>(to + count, paddedWidth - count).Clear();
        }
    }

    public static void PackAlong(float* row, int width, float* to) => FlashAttention.ScaleRow<V>(row, 1, width, to);

    public static void PackSums(float* rows, nint stride, int keys, int width, float* room, float* to)
    {
        for (var key = 0; key < keys; key++) FlashAttention.ScaleRow<V>(rows + (key * stride), 1, width, to + (key * (nint)width));
    }

    public static (nint Number, nint Word) SumStrides(nint width) => (1, width);

    public static void FoldRows(float* numbers, int rows, int lanes)
    {
    }

    public static float* FoldLanes(float* numbers, int rows, int lanes, float* room) => numbers;

    public static void Multiply(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int m, int n, int k,
        bool add) => FlashAttentionProduct.Run<V>(a, aRow, aColumn, b, bRow, c, cRow, m, n, k, add);
}

/// <summary>Work of attention that is written once for all factors.</summary>
internal interface IAttentionItems
{
    /// <summary>Does one item.</summary>
    /// <typeparam name="V">The vectors.</typeparam>
    /// <typeparam name="F">The factors of its products.</typeparam>
    void Do<V, F>(int item) where V : struct, ILanes<V> where F : struct, IAttentionFactors<V>;
}

/// <summary>Which code belongs to the factors.</summary>
internal static class AttentionFactorsChoice
{
    /// <summary>Does some items on the calling thread, which then gives its tiles up.</summary>
    public static void Run<V, TWork>(this AttentionFactors factors, ref TWork work, int start, int end)
        where V : struct, ILanes<V>
        where TWork : struct, IAttentionItems
    {
        try
        {
            for (var item = start; item < end; item++)
            {
                switch (factors)
                {
                    case AttentionFactors.Bf16Tiles: work.Do<Lanes512, AttentionAmx>(item); break;
                    case AttentionFactors.Bf16Dots: work.Do<Lanes512, AttentionBf16>(item); break;
                    default: work.Do<V, AttentionF32<V>>(item); break;
                }
            }
        }
        finally
        {
            Jit.AmxTiles.Release();
        }
    }
}
