using Tessera.Tensors;

namespace Tessera.Nn.Attention;

/// <summary>Who sees whom while decoding.</summary>
internal static class CachedMask
{
    /// <summary>Each row's queries stand at its own positions in the cache, which may differ from its neighbours'.</summary>
    /// <param name="context">Has the positions.</param>
    /// <param name="keys">How many positions of the cache have been written.</param>
    public static BlockMask Causal(ForwardContext context, int keys)
    {
        var (rows, queries) = (context.Positions.Shape[0], context.Positions.Shape[1]);
        Span<int> lengths = rows <= 1024 ? stackalloc int[rows] : new int[rows];
        for (var row = 0; row < rows; row++) lengths[row] = context.Positions.Ints[row * queries] + queries;
        return BlockMask.Causal(queries, keys, lengths);
    }
}
