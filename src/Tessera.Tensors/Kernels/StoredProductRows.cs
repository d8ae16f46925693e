using System.Runtime.Intrinsics;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Rounded rows in the order in which a tile reads them: tiles of a few rows, in them blocks of 32 or 16 columns, in each
/// four columns of all rows, then the next four; then for each row <c>−128 Σ q</c>, which undoes the offset that makes
/// weights unsigned, the scale, and the sum times the scale.
/// </summary>
internal unsafe struct StoredProductRows
{
    private const int Facts = 3;

    public byte* Data;
    public int Rows, Tiles, Quads, Blocks;
    private QuantizedActivations _x;
    private int _parts;
    private nint _memory;

    /// <summary>Bytes of one row in one block.</summary>
    private readonly int RowBytes => (Quads + Facts) * sizeof(int);

    private readonly long Bytes => (long)Rows * Blocks * RowBytes;

    /// <summary>Orders the rows, into memory of the current arena.</summary>
    /// <param name="x">At least one row.</param>
    /// <param name="quads">Columns of a block, over four.</param>
    public static StoredProductRows Of(in QuantizedActivations x, int quads)
    {
        var max = Jit.StoredProductTile.MaxRows;
        var result = new StoredProductRows
        {
            Rows = x.Rows, Tiles = (x.Rows + max - 1) / max, Quads = quads, Blocks = x.Columns / (4 * quads), _x = x,
        };
        result._memory = Arena.Current.Take(result.Bytes);
        result.Data = (byte*)result._memory;
        result._parts = Math.Min(result.Tiles, Simd.Parts(x.Rows, x.Columns));
        var work = new Work { Rows = result };
        ThreadTeam.Shared.Run(ref work, result._parts);
        return result;
    }

    /// <summary>The rows of a tile: all tiles have as many, or one more.</summary>
    public readonly (int Start, int End) Tile(int tile) => Simd.Share(Rows, Tiles, tile);

    /// <summary>Where the tile that starts at a row lies.</summary>
    public readonly byte* At(int row) => Data + ((long)row * Blocks * RowBytes);

    /// <summary>Gives the memory back.</summary>
    public readonly void Return() => Arena.Current.Return(_memory, Bytes);

    private readonly void Order(int start, int rows)
    {
        for (var row = 0; row < rows; row++)
        {
            var numbers = (int*)(_x.Numbers + ((long)(start + row) * _x.Columns));
            var to = (int*)At(start) + row;
            for (var block = 0; block < Blocks; block++, numbers += Quads, to += (Quads + Facts) * rows)
            {
                for (var quad = 0; quad < Quads; quad++) to[quad * rows] = numbers[quad];
                var sum = Sum((sbyte*)numbers);
                if (Quads == 8) sum += Sum((sbyte*)numbers + 16);

                var scale = _x.Scales[((long)(start + row) * _x.Blocks) + (block * Quads / 8)];
                to[Quads * rows] = -128 * sum;
                ((float*)to)[(Quads + 1) * rows] = scale;
                ((float*)to)[(Quads + 2) * rows] = scale * sum;
            }
        }
    }

    private static int Sum(sbyte* numbers)
    {
        var (low, high) = Vector128.Widen(Vector128.Load(numbers));
        return Vector128.Sum(low + high);
    }

    private struct Work : IParallelWork
    {
        public StoredProductRows Rows;

        public readonly void Run(int part)
        {
            var (first, end) = Simd.Share(Rows.Tiles, Rows._parts, part);
            for (var tile = first; tile < end; tile++)
            {
                var (start, stop) = Rows.Tile(tile);
                Rows.Order(start, stop - start);
            }
        }
    }
}
