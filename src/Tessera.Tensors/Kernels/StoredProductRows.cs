using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Some rows that go through <see cref="StoredProductTile"/> together.</summary>
internal readonly record struct StoredProductRowTile(int Start, int Count);

/// <summary>The rows that one matrix of a group multiplies, as tiles.</summary>
internal readonly record struct StoredProductRowGroup(int Group, int FirstTile, int Tiles);

/// <summary>
/// Rounded rows in the order in which <see cref="StoredProductTile"/> reads them: tiles of a few rows of one group, in them blocks of 32 or
/// 16 columns, in each four columns of all rows as unsigned bytes (each number + 128), then the next four; then each row's scale and, where
/// the weight has minima, the scale times the sum of the numbers.
/// </summary>
internal unsafe struct StoredProductRows
{
    private nint _memory;
    private long _bytes;
    private int _parts, _tiles;

    /// <summary>The rows as they were given.</summary>
    public QuantizedActivations X { get; private set; }

    public StoredProductLayout Layout { get; private set; }

    /// <summary>Blocks of columns.</summary>
    public int Blocks { get; private set; }

    public StoredProductRowTile* Tiles { get; private set; }

    /// <summary>Groups of more rows than <c>more</c>.</summary>
    public StoredProductRowGroup* Groups { get; private set; }

    public int GroupCount { get; private set; }

    private byte* Data { get; set; }

    /// <summary>Cuts the rows of the groups that have more than <paramref name="more"/> into tiles and, where there is no AMX, orders them,
    /// in memory of the current arena.</summary>
    /// <param name="x">Rounded rows.</param>
    /// <param name="layout">Of the weight.</param>
    /// <param name="offsets">Group g has the rows from <c>offsets[g]</c> to <c>offsets[g + 1]</c>.</param>
    /// <param name="more">Groups of at most so many rows are left out.</param>
    public static StoredProductRows Of(in QuantizedActivations x, StoredProductLayout layout, ReadOnlySpan<int> offsets, int more)
    {
        var groups = offsets.Length - 1;
        var maxTiles = (x.Rows / StoredProductTile.MaxRows) + groups;
        var result = new StoredProductRows { X = x, Layout = layout, Blocks = x.Columns / layout.Columns };
        // Tiles (AMX) read the rows as they were given.
        var isOrdered = !AmxTiles.Available;
        var data = isOrdered ? (long)x.Rows * result.Blocks * layout.RowBytes : 0;
        result._bytes = data + ((long)maxTiles * sizeof(StoredProductRowTile)) + ((long)groups * sizeof(StoredProductRowGroup));
        result._memory = Arena.Current.Take(result._bytes);
        result.Data = (byte*)result._memory;
        result.Tiles = (StoredProductRowTile*)(result.Data + data);
        result.Groups = (StoredProductRowGroup*)(result.Tiles + maxTiles);
        result.Cut(offsets, more);
        if (result._tiles == 0 || !isOrdered) return result;
        result._parts = Math.Min(result._tiles, Simd.Parts(x.Rows, x.Columns));
        var work = new Work { Rows = result };
        ThreadTeam.Shared.Run(ref work, result._parts);
        return result;
    }

    /// <summary>Where a block of a tile lies; not where there is AMX.</summary>
    public readonly byte* At(StoredProductRowTile tile, int block) =>
        Data + ((((long)tile.Start * Blocks) + ((long)block * tile.Count)) * Layout.RowBytes);

    /// <summary>Gives the memory back.</summary>
    public readonly void Return() => Arena.Current.Return(_memory, _bytes);

    /// <summary>The tiles of a group all have as many rows, or one more.</summary>
    private void Cut(ReadOnlySpan<int> offsets, int more)
    {
        for (var group = 0; group < offsets.Length - 1; group++)
        {
            var (start, rows) = (offsets[group], offsets[group + 1] - offsets[group]);
            if (rows <= more) continue;
            var tiles = (rows + StoredProductTile.MaxRows - 1) / StoredProductTile.MaxRows;
            Groups[GroupCount++] = new(group, _tiles, tiles);
            for (var tile = 0; tile < tiles; tile++)
            {
                var (first, end) = Simd.Share(rows, tiles, tile);
                Tiles[_tiles++] = new(start + first, end - first);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Order(StoredProductRowTile tile)
    {
        const int Signs = unchecked((int)0x80808080);
        var (quads, rows, blocks, hasMinimum) = (Layout.Quads, tile.Count, Blocks, Layout.HasMinimum);
        var step = Layout.RowBytes / sizeof(int) * rows;
        var (isWhole, columns) = (quads == 8, X.Columns);
        for (var row = 0; row < rows; row++)
        {
            var numbers = (int*)(X.Numbers + ((long)(tile.Start + row) * columns));
            var scales = X.Scales + ((long)(tile.Start + row) * X.Blocks);
            var sums = X.Sums + ((long)(tile.Start + row) * X.Blocks);
            var to = (int*)At(tile, 0) + row;
            for (var block = 0; block < blocks; block++, numbers += quads, to += step)
            {
                var next = to;
                for (var quad = 0; quad < quads; quad += 4, next += 4 * rows)
                {
                    next[0] = numbers[quad] ^ Signs;
                    next[rows] = numbers[quad + 1] ^ Signs;
                    next[2 * rows] = numbers[quad + 2] ^ Signs;
                    next[3 * rows] = numbers[quad + 3] ^ Signs;
                }

                var scale = scales[isWhole ? block : block / 2];
                *(float*)next = scale;
                if (hasMinimum) ((float*)next)[rows] = isWhole ? sums[block] : scale * Sum((sbyte*)numbers, quads);
            }
        }
    }

    /// <summary>The sum of a block's numbers.</summary>
    public static int Sum(sbyte* numbers, int quads)
    {
        var sum = 0;
        for (; quads > 0; quads -= 4, numbers += 16)
        {
            var (low, high) = Vector128.Widen(Vector128.Load(numbers));
            sum += Vector128.Sum(low + high);
        }

        return sum;
    }

    private struct Work : IParallelWork
    {
        public StoredProductRows Rows;

        public readonly void Run(int part)
        {
            var (first, end) = Simd.Share(Rows._tiles, Rows._parts, part);
            for (var tile = first; tile < end; tile++) Rows.Order(Rows.Tiles[tile]);
        }
    }
}
