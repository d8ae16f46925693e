namespace Tessera.Tensors.Kernels;

/// <summary>
/// Exact attention in tiles, with memory linear in the length: the scores of a tile live only while the tile is visited.
/// Dao, Fu, Ermon, Rudra, Ré 2022, <see href="https://arxiv.org/abs/2205.14135"/>; the softmax is Milakov and Gimelshein's
/// online one, <see href="https://arxiv.org/abs/1805.02867"/>.
/// </summary>
internal static unsafe partial class FlashAttention
{
    /// <summary>Floating-point operations below which a part is not worth handing to another thread.</summary>
    private const double MinWorkOfPart = 200_000;

    public static int RoundUp(int count, int multiple) => (count + multiple - 1) / multiple * multiple;

    /// <summary>How many words the numbers of a sum take.</summary>
    public static int Words(int numbers, int perWord) => RoundUp(numbers, perWord) / perWord;

    private static int Tiles(int length) => (length + FlashAttentionTile.Size - 1) / FlashAttentionTile.Size;

    /// <summary>How many parts to cut items into, when all of them together cost this many operations.</summary>
    private static int Parts(int items, double operations) => (int)Math.Clamp(operations / MinWorkOfPart, 1, Math.Max(items, 1));
}
