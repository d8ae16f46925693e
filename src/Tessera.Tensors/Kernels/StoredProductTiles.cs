using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Products of many rounded rows with a quantized weight on processors with AVX-512 VNNI: 16 outputs at a time are unpacked,
/// over all columns, into the order of a tile, stay in the second-level cache, and meet all rows.
/// </summary>
internal static unsafe class StoredProductTiles
{
    /// <summary>Whether this way can be gone at the level in use.</summary>
    public static bool IsSupported => Simd.Level >= KernelLevel.Avx512Vnni;

    /// <summary><c>y = x wᵀ + bias</c>, of at least one row and column.</summary>
    public static void Multiply(in QuantizedActivations x, StoredMatrix w, Span<float> y, ReadOnlySpan<float> bias)
    {
        var rows = StoredProductRows.Of(x, w.Type.HasLastScale() ? 4 : 8);
        fixed (byte* weights = w.Data)
        fixed (float* target = y, added = bias)
        {
            var panels = (w.Rows + StoredProductTile.Outputs - 1) / StoredProductTile.Outputs;
            var work = new Work
            {
                Rows = rows,
                Weights = weights,
                Y = target,
                Bias = added,
                Outputs = w.Rows,
                Panels = panels,
                RowBytes = w.RowBytes,
                Type = w.Type,
                PanelParts = Simd.Parts(panels, (long)x.Rows * x.Columns * StoredProductTile.Outputs / 4),
            };

            // Where there are few outputs, parts share them and unpack them again.
            work.RowParts = panels < 2 * Simd.Threads ? Math.Min(rows.Tiles, Simd.Threads) : 1;
            ThreadTeam.Shared.Run(ref work, work.PanelParts * work.RowParts);
        }

        rows.Return();
    }

    private struct Work : IParallelWork
    {
        public StoredProductRows Rows;
        public byte* Weights;
        public float* Y, Bias;
        public int Outputs, Panels, PanelParts, RowParts;
        public long RowBytes;
        public ElementType Type;

        public readonly void Run(int part)
        {
            switch (Type)
            {
                case ElementType.Q8_0: Run<Q8Block>(part); break;
                case ElementType.Q4_0: Run<Q4Block>(part); break;
                case ElementType.Q4_K: Run<Q4KBlock>(part); break;
                case ElementType.MXFP4: Run<Mxfp4Block>(part); break;
                case ElementType.Q4_1: Run<Q41Block>(part); break;
                case ElementType.Q5_0: Run<Q50Block>(part); break;
                case ElementType.Q5_1: Run<Q51Block>(part); break;
                case ElementType.Q5_K: Run<Q5KBlock>(part); break;
                case ElementType.Q2_K: Run<Q2KBlock>(part); break;
                case ElementType.Q3_K: Run<Q3KBlock>(part); break;
                case ElementType.IQ4_NL: Run<Iq4Block>(part); break;
                case ElementType.IQ4_XS: Run<Iq4XsBlock>(part); break;
                default: Run<Q6KBlock>(part); break;
            }
        }

        private readonly void Run<B>(int part) where B : struct, IStoredBlock<B>
        {
            var (first, end) = Simd.Share(Panels, PanelParts, part / RowParts);
            var (firstTile, endTile) = Simd.Share(Rows.Tiles, RowParts, part % RowParts);
            var blocks = (int)(RowBytes / B.Bytes);
            var panel = StoredProductPacking.Buffer((long)Rows.Blocks * StoredProductTile.BlockBytes(Rows.Quads, B.HasMinimum));
            var start = stackalloc float[StoredProductTile.Outputs];
            for (var output = first * StoredProductTile.Outputs; output < Math.Min(Outputs, end * StoredProductTile.Outputs);
                 output += StoredProductTile.Outputs)
            {
                var count = Math.Min(StoredProductTile.Outputs, Outputs - output);
                StoredProductPacking.Pack<B>(Weights + (output * RowBytes), RowBytes, count, blocks, panel);
                for (var i = 0; i < count && Bias != null; i++) start[i] = Bias[output + i];
                for (var tile = firstTile; tile < endTile; tile++) Multiply<B>(tile, panel, output, count, start);
            }
        }

        private readonly void Multiply<B>(int tile, byte* panel, int output, int count, float* start) where B : struct, IStoredBlock<B>
        {
            var (row, end) = Rows.Tile(tile);
            var arguments = new StoredProductTile.Arguments
            {
                Weights = panel, Rows = Rows.At(row), Blocks = Rows.Blocks, Y = Y + ((long)row * Outputs) + output,
                RowY = (long)Outputs * sizeof(float), Start = start, Mask = (1ul << count) - 1,
            };
            StoredProductTile.Routine(end - row, Rows.Quads, B.HasMinimum)(&arguments);
        }
    }
}
