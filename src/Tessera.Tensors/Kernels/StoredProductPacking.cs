using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Unpacks 32 rows of a quantized weight, a <em>panel</em>, into blocks of <see cref="StoredProductLayout"/>. A type says how its numbers
/// and scales are read (<see cref="IStoredBlock{TSelf}"/>); the rest is the same for all.
/// </summary>
internal static unsafe class StoredProductPacking
{
    private const int Outputs = StoredProductTile.Outputs, Vector = 64;

    /// <summary>Parts whose scales are read together.</summary>
    private const int Group = 8;

    /// <summary>Kinds of facts of a part: scale and minimum, and those of the last 16 elements.</summary>
    private const int Facts = 4;

    /// <summary>Columns that the transposition of a part or of a group's facts makes vectors of.</summary>
    private const int Columns = 8;

    private interface IRows
    {
        Vector256<int> Row(int row);
    }

    /// <summary>Unpacks <paramref name="count"/> rows, <paramref name="rowBytes"/> apart, of <paramref name="parts"/> times 32 elements;
    /// rows up to the 32nd that are not there repeat the last one, and their outputs are not kept.</summary>
    public static void Pack<B>(byte* from, long rowBytes, int count, int parts, byte* to) where B : struct, IStoredBlock<B>
    {
        var layout = StoredProductLayout.Of<B>();
        var partBytes = layout.BlockBytes * (Columns / layout.Quads);
        var rows = stackalloc byte*[Outputs];
        var facts = stackalloc float[Outputs * Facts * Group];
        for (var i = 0; i < Outputs; i++) rows[i] = from + (Math.Min(i, count - 1) * rowBytes);
        for (var first = 0; first < parts; first += Group)
        {
            var size = Math.Min(Group, parts - first);
            LoadFacts<B>(rows, first, size, facts);
            StoreFacts(facts, 0, to + layout.Scales, partBytes, size);
            if (B.HasMinimum) StoreFacts(facts, 2, to + layout.Minima, partBytes, size);
            if (B.HasLastScale)
            {
                StoreFacts(facts, 1, to + layout.BlockBytes + layout.Scales, partBytes, size);
                if (B.HasMinimum) StoreFacts(facts, 3, to + layout.BlockBytes + layout.Minima, partBytes, size);
            }

            for (var part = first; part < first + size; part++, to += partBytes) PackNumbers<B>(rows, part, to);
        }
    }

    /// <summary>For each row, 8 numbers of each kind of facts, of which as many as there are parts are set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void LoadFacts<B>(byte** rows, int first, int size, float* to) where B : struct, IStoredBlock<B>
    {
        var at = (long)first / B.Parts * B.Bytes;
        for (var i = 0; i < Outputs; i++, to += Facts * Group)
        {
            if (size == Group)
            {
                B.GroupScales(rows[i] + at, to);
                continue;
            }

            for (var part = 0; part < size; part++)
            {
                var block = B.Open(rows[i] + ((first + part) / B.Parts * B.Bytes));
                var own = (first + part) % B.Parts;
                to[part] = block.Scale(own);
                if (B.HasLastScale) to[Group + part] = block.LastScale(own);
                if (B.HasMinimum) to[(2 * Group) + part] = block.Minimum(own);
                if (B.HasMinimum && B.HasLastScale) to[(3 * Group) + part] = block.LastMinimum(own);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void StoreFacts(float* facts, int kind, byte* to, long partBytes, int size)
    {
        var columns = stackalloc int[Columns * Outputs];
        var rows = new FactRows((int*)facts + (kind * Group));
        Transpose(rows, 0, (byte*)columns, Outputs * sizeof(int), 4L * Outputs * sizeof(int));
        Transpose(rows, Outputs / 2, (byte*)columns + Vector, Outputs * sizeof(int), 4L * Outputs * sizeof(int));
        for (var part = 0; part < size; part++, to += partBytes)
        {
            Vector512.Load(columns + (part * Outputs)).Store((int*)to);
            Vector512.Load(columns + (part * Outputs) + (Outputs / 2)).Store((int*)(to + Vector));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void PackNumbers<B>(byte** rows, int part, byte* to) where B : struct, IStoredBlock<B>
    {
        var layout = StoredProductLayout.Of<B>();
        var fifth = B.HasLastScale ? layout.BlockBytes : 4 * 2 * Vector; // the last 16 elements may be a block of their own
        var numbers = new NumberRows<B>(rows, part / B.Parts * B.Bytes, part % B.Parts);
        Transpose(numbers, 0, to, 2 * Vector, fifth);
        Transpose(numbers, Outputs / 2, to + Vector, 2 * Vector, fifth);
        for (var block = 0; block < Columns / layout.Quads; block++, to += layout.BlockBytes)
        {
            StoreOffsets(to, layout);
            StoreOffsets(to + Vector, layout);
        }
    }

    /// <summary>−128 times the sum of each of 16 outputs' numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreOffsets(byte* block, StoredProductLayout layout)
    {
        var sums = Vector512<short>.Zero;
        for (var quad = 0; quad < layout.Quads; quad++)
            sums += Avx512BW.MultiplyAddAdjacent(Vector512<byte>.One, Vector512.Load((sbyte*)block + (quad * 2 * Vector)));
        Avx512BW.MultiplyAddAdjacent(sums, Vector512.Create((short)-128)).Store((int*)(block + layout.Offsets));
    }

    /// <summary>16 rows of 8 columns of four bytes become 8 vectors. A vector starts with two rows, four apart; four vectors are transposed
    /// within their quarters, and the quarters then put in the order of the rows.</summary>
    /// <param name="rows">What is transposed.</param>
    /// <param name="first">The first of the 16 rows.</param>
    /// <param name="to">Where the first column goes.</param>
    /// <param name="stride">From there to the next column, in bytes.</param>
    /// <param name="fifth">From the first column to the fifth.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose<TRows>(TRows rows, int first, byte* to, long stride, long fifth) where TRows : struct, IRows
    {
        Transpose(
            Two(rows, first), Two(rows, first + 1), Two(rows, first + 2), Two(rows, first + 3), out var a0, out var a1, out var a2,
            out var a3);
        Transpose(
            Two(rows, first + 8), Two(rows, first + 9), Two(rows, first + 10), Two(rows, first + 11), out var b0, out var b1, out var b2,
            out var b3);
        Store(a0, b0, to, to + fifth);
        Store(a1, b1, to + stride, to + fifth + stride);
        Store(a2, b2, to + (2 * stride), to + fifth + (2 * stride));
        Store(a3, b3, to + (3 * stride), to + fifth + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Two<TRows>(TRows rows, int row) where TRows : struct, IRows =>
        Vector512.Create(rows.Row(row), rows.Row(row + 4));

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

    /// <summary>The even quarters of both are one vector of 16 outputs, the odd ones another, four columns on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<int> left, Vector512<int> right, byte* even, byte* odd)
    {
        Avx512F.Shuffle4x128(left, right, 0b10_00_10_00).Store((int*)even);
        Avx512F.Shuffle4x128(left, right, 0b11_01_11_01).Store((int*)odd);
    }

    /// <summary>A part of each row of a weight.</summary>
    private readonly struct NumberRows<B>(byte** rows, long at, int part) : IRows where B : struct, IStoredBlock<B>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<int> Row(int row) => B.Numbers(rows[row] + at, part).AsInt32();
    }

    /// <summary>One kind of facts of a group of parts.</summary>
    private readonly struct FactRows(int* facts) : IRows
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<int> Row(int row) => Vector256.Load(facts + (row * Facts * Group));
    }
}
