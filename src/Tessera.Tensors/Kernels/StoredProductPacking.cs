using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Unpacks 16 rows of a quantized weight into the order of <see cref="StoredProductTile"/>: for each block, four columns of all
/// 16 outputs as unsigned bytes (each number + 128), the next four and so on; then 16 scales, then 16 minima if there are any.
/// </summary>
internal static unsafe class StoredProductPacking
{
    private const int Outputs = StoredProductTile.Outputs, Vector = 64;

    [ThreadStatic] private static NativeBuffer? s_buffer;

    /// <summary>The calling thread's memory for a panel.</summary>
    public static byte* Buffer(long bytes) => (byte*)NativeBuffer.AtLeast(ref s_buffer, bytes);

    /// <summary>Unpacks <paramref name="count"/> rows, <paramref name="rowBytes"/> apart, of <paramref name="blocks"/> blocks; rows
    /// up to the 16th that are not there repeat the last one, and their outputs are not kept.</summary>
    public static void Pack<B>(byte* from, long rowBytes, int count, int blocks, byte* to) where B : struct, IStoredBlock<B>
    {
        var rows = stackalloc byte*[Outputs];
        for (var i = 0; i < Outputs; i++) rows[i] = from + (Math.Min(i, count - 1) * rowBytes);
        for (var at = 0L; at < (long)blocks * B.Bytes; at += B.Bytes)
        {
            PackScales<B>(rows, at, to);
            for (var part = 0; part < B.Parts; part++, to += PartBytes<B>()) PackNumbers<B>(rows, at, part, to);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Quads<B>() where B : struct, IStoredBlock<B> => B.HasLastScale ? 4 : 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int PartBytes<B>() where B : struct, IStoredBlock<B> =>
        StoredProductTile.BlockBytes(Quads<B>(), B.HasMinimum) * 8 / Quads<B>();

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void PackScales<B>(byte** rows, long at, byte* to) where B : struct, IStoredBlock<B>
    {
        for (var i = 0; i < Outputs; i++)
        {
            var block = B.Open(rows[i] + at);
            var last = StoredProductTile.BlockBytes(4, B.HasMinimum) / sizeof(float);
            var scales = (float*)(to + (Quads<B>() * Vector)) + i;
            for (var part = 0; part < B.Parts; part++)
            {
                scales[0] = block.Scale(part);
                if (B.HasLastScale) scales[last] = block.LastScale(part);
                if (B.HasMinimum) scales[Vector / sizeof(float)] = block.Minimum(part);
                if (B.HasMinimum && B.HasLastScale) scales[last + (Vector / sizeof(float))] = block.LastMinimum(part);
                scales += PartBytes<B>() / sizeof(float);
            }
        }
    }

    /// <summary>16 rows of 32 bytes become 8 vectors of 16 × 4 bytes. A vector starts with two rows of 32, four apart; four
    /// vectors are transposed within their quarters, and the quarters then put in the order of the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void PackNumbers<B>(byte** rows, long at, int part, byte* to) where B : struct, IStoredBlock<B>
    {
        Transpose(
            Two<B>(rows + 0, at, part), Two<B>(rows + 1, at, part), Two<B>(rows + 2, at, part), Two<B>(rows + 3, at, part), out var a0,
            out var a1, out var a2, out var a3);
        Transpose(
            Two<B>(rows + 8, at, part), Two<B>(rows + 9, at, part), Two<B>(rows + 10, at, part), Two<B>(rows + 11, at, part), out var b0,
            out var b1, out var b2, out var b3);
        Store(a0, b0, to, to + Quad<B>(4));
        Store(a1, b1, to + Vector, to + Quad<B>(5));
        Store(a2, b2, to + (2 * Vector), to + Quad<B>(6));
        Store(a3, b3, to + (3 * Vector), to + Quad<B>(7));
    }

    /// <summary>Where four columns lie; those of the last 16 of a part may belong to another block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Quad<B>(int quad) where B : struct, IStoredBlock<B> =>
        B.HasLastScale ? StoredProductTile.BlockBytes(4, B.HasMinimum) + ((quad - 4) * Vector) : quad * Vector;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Two<B>(byte** rows, long at, int part) where B : struct, IStoredBlock<B> =>
        Vector512.Create(B.Numbers(rows[0] + at, part), B.Numbers(rows[4] + at, part)).AsInt32();

    /// <summary>4 × 4 within each quarter of the vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(
        Vector512<int> first, Vector512<int> second, Vector512<int> third, Vector512<int> fourth,
        out Vector512<int> to0, out Vector512<int> to1, out Vector512<int> to2, out Vector512<int> to3)
    {
        var low = Avx512F.UnpackLow(first, second).AsInt64();
        var high = Avx512F.UnpackHigh(first, second).AsInt64();
        var lowOther = Avx512F.UnpackLow(third, fourth).AsInt64();
        var highOther = Avx512F.UnpackHigh(third, fourth).AsInt64();
        to0 = Avx512F.UnpackLow(low, lowOther).AsInt32();
        to1 = Avx512F.UnpackHigh(low, lowOther).AsInt32();
        to2 = Avx512F.UnpackLow(high, highOther).AsInt32();
        to3 = Avx512F.UnpackHigh(high, highOther).AsInt32();
    }

    /// <summary>The even quarters of both are one vector of 16 outputs, the odd ones another, four quads on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<int> left, Vector512<int> right, byte* even, byte* odd)
    {
        var sign = Vector512.Create((byte)0x80);
        (Avx512F.Shuffle4x128(left, right, 0b10_00_10_00).AsByte() ^ sign).Store(even);
        (Avx512F.Shuffle4x128(left, right, 0b11_01_11_01).AsByte() ^ sign).Store(odd);
    }
}
