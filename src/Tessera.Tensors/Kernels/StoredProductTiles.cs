using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of many rounded rows with a quantized weight on processors with AVX-512 VNNI or AMX: 32 outputs at a time are unpacked, over
/// all columns, into blocks of one layout for all types, stay in the second-level cache, and meet all rows, as many blocks at a time as the
/// first-level cache holds.
/// <para>Weights are unpacked anew in each call: it costs about as much as 16 rows of Q8_0 do, and unpacked they would take up to three
/// times the memory.</para>
/// </summary>
internal static unsafe class StoredProductTiles
{
    /// <summary>What unpacked blocks may take of the first-level cache, beside the rows that go by.</summary>
    private const int FirstLevelBytes = 36 << 10;

    private const int Outputs = StoredProductTile.Outputs;

    [ThreadStatic] private static NativeBuffer? s_panel;

    /// <summary>Whether this way can be gone at the level in use.</summary>
    public static bool IsSupported => Simd.Level >= KernelLevel.Avx512Vnni;

    /// <summary><c>y = x wᵀ + bias</c>, of at least one row and column.</summary>
    public static void Multiply(in QuantizedActivations x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias) =>
        MultiplyGroups(x, w, [0, x.Rows], 0, y, bias);

    /// <summary>Rows of y = rows of x × the group's matrix, transposed, + bias, for groups of more than <paramref name="more"/> rows; other
    /// rows are left alone.</summary>
    /// <param name="x">rows × k, of at least one column.</param>
    /// <param name="w">[groups · n] × k.</param>
    /// <param name="offsets">One more than there are groups, within the rows.</param>
    /// <param name="more">Groups of at most so many rows are left out.</param>
    /// <param name="y">rows × n.</param>
    /// <param name="bias">n elements, or none.</param>
    public static void MultiplyGroups(
        in QuantizedActivations x, StoredMatrix w, ReadOnlySpan<int> offsets, int more, Span<float> y, ReadOnlySpan<float> bias)
    {
        var rows = StoredProductRows.Of(x, Layout(w.Type), offsets, more);
        if (rows.GroupCount == 0)
        {
            rows.Return();
            return;
        }

        fixed (byte* weights = w.Data)
        fixed (float* target = y, added = bias)
        {
            var n = w.Rows / (offsets.Length - 1);
            var panels = (n + Outputs - 1) / Outputs;
            var work = new Work
            {
                Rows = rows,
                Weights = weights,
                Y = target,
                Bias = added,
                Outputs = n,
                Panels = panels,
                RowBytes = w.RowBytes,
                Type = w.Type,
                Pieces = panels * rows.GroupCount,
            };

            // Where there are few outputs, parts share them and unpack them again.
            work.RowParts = work.Pieces < 2 * Simd.Threads ? Math.Min((x.Rows / 32) + 1, Simd.Threads) : 1;
            work.PieceParts = Simd.Parts(work.Pieces, (long)x.Rows * x.Columns * Outputs / 4);
            ThreadTeam.Shared.Run(ref work, work.PieceParts * work.RowParts);
        }

        rows.Return();
    }

    private static StoredProductLayout Layout(ElementType type)
    {
        var layout = default(LayoutOf);
        type.Run(ref layout, part: 0);
        return layout.Layout;
    }

    private struct LayoutOf : IStoredBlockWork
    {
        public StoredProductLayout Layout;

        public void Run<B>(int part) where B : struct, IStoredBlock<B> => Layout = StoredProductLayout.Of<B>();
    }

    private struct Work : IParallelWork, IStoredBlockWork
    {
        public StoredProductRows Rows;
        public byte* Weights;
        public float* Y, Bias;
        public int Outputs, Panels, Pieces, PieceParts, RowParts;
        public long RowBytes;
        public ElementType Type;

        public void Run(int part)
        {
            try
            {
                Type.Run(ref this, part);
            }
            finally
            {
                AmxTiles.Release();
            }
        }

        public readonly void Run<B>(int part) where B : struct, IStoredBlock<B>
        {
            var (first, end) = Simd.Share(Pieces, PieceParts, part / RowParts);
            var panel = (byte*)NativeBuffer.AtLeast(ref s_panel, (long)Rows.Blocks * Rows.Layout.BlockBytes);
            var start = stackalloc float[StoredProductTile.Outputs];
            for (var piece = first; piece < end; piece++)
            {
                var group = Rows.Groups[piece / Panels];
                var output = piece % Panels * StoredProductTile.Outputs;
                var count = Math.Min(StoredProductTile.Outputs, Outputs - output);
                var weights = Weights + ((((long)group.Group * Outputs) + output) * RowBytes);
                StoredProductPacking.Pack<B>(weights, RowBytes, count, Rows.X.Blocks, panel);
                for (var i = 0; i < count && Bias != null; i++) start[i] = Bias[output + i];
                var (firstTile, endTile) = Simd.Share(group.Tiles, RowParts, part % RowParts);
                Multiply(group.FirstTile + firstTile, group.FirstTile + endTile, panel, output, count, start);
            }
        }

        /// <summary>A panel times the rows of some tiles.</summary>
        private readonly void Multiply(int firstTile, int endTile, byte* panel, int output, int count, float* start)
        {
            if (firstTile == endTile) return;
            if (AmxTiles.Available)
            {
                var (first, last) = (Rows.Tiles[firstTile], Rows.Tiles[endTile - 1]);
                StoredProductAmx.Multiply(
                    Rows, first.Start, last.Start + last.Count, panel, Y + output, Outputs, count, start);
                return;
            }

            var max = Math.Max(1, FirstLevelBytes / Rows.Layout.BlockBytes);
            var pieces = (Rows.Blocks + max - 1) / max;
            for (var piece = 0; piece < pieces; piece++)
            {
                var (block, endBlock) = Simd.Share(Rows.Blocks, pieces, piece);
                for (var tile = firstTile; tile < endTile; tile++)
                    Multiply(Rows.Tiles[tile], panel, block, endBlock - block, Y + output, count, start);
            }
        }

        private readonly void Multiply(StoredProductRowTile tile, byte* panel, int block, int blocks, float* y, int count, float* start)
        {
            y += (long)tile.Start * Outputs;
            var rowY = (long)Outputs * sizeof(float);
            var arguments = new StoredProductTile.Arguments
            {
                Weights = panel + ((long)block * Rows.Layout.BlockBytes), Rows = Rows.At(tile, block), Blocks = blocks, Y = y,
                RowY = rowY, Start = block == 0 ? start : y, RowStart = block == 0 ? 0 : rowY, Mask = (1ul << count) - 1,
            };
            StoredProductTile.Routine(tile.Count, Rows.Layout.Quads, Rows.Layout.HasMinimum)(&arguments);
        }
    }
}
