using System.Numerics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Where queries choose their keys one by one, neighbours see different blocks, and a tile of them would touch nearly all. There
/// tiles are made block by block instead, of up to 64 queries, wherever they stand, that see some of the block.
/// </summary>
/// <param name="indices">Room for the queries of a tile.</param>
/// <param name="firstQuery">The first query looked at.</param>
/// <param name="lastQuery">The one after the last.</param>
internal unsafe struct FlashAttentionGroup(int* indices, int firstQuery, int lastQuery)
{
    private int _next = firstQuery, _base;
    private ulong _some, _all;

    /// <summary>The queries of the tile, in order.</summary>
    public readonly int* Indices => indices;

    public int Count { get; private set; }

    /// <summary>Whether all of them see all of the block.</summary>
    public bool SeesAll { get; private set; }

    /// <summary>Finds the next queries; false where none are left.</summary>
    public bool Next(in FlashAttentionProblem problem, int batch, int head, int firstKey, int keys)
    {
        (Count, SeesAll) = (0, true);
        while (Count < FlashAttentionTile.Size)
        {
            if (_some != 0)
            {
                var bit = BitOperations.TrailingZeroCount(_some);
                indices[Count++] = _base + bit;
                SeesAll &= (_all >> bit & 1) != 0;
                _some &= _some - 1;
            }
            else if (_next < lastQuery)
            {
                var queries = Math.Min(FlashAttentionTile.Size, lastQuery - _next);
                (_some, _all) = problem.Mask.Seen(batch, head, _next, queries, firstKey, keys);
                _base = _next;
                _next += queries;
            }
            else
            {
                break;
            }
        }

        return Count > 0;
    }
}
