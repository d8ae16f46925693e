using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>Factors in BF16, multiplied by dot products of vectors: for <see cref="KernelLevel.Avx512Bf16"/>.</summary>
internal readonly unsafe struct AttentionBf16 : IAttentionFactors<Lanes512>
{
    private const int Lanes = 16;

    public static int PerWord => 2;

    public static int Words(int numbers) => (numbers + 1) / 2;

    public static void PackRows(float* from, nint stride, int rows, int halves, int width, float factor, float* to, int paddedWidth)
    {
        var half = (halves + 1) / 2;
        for (var row = 0; row < half; row++, to += paddedWidth)
        {
            var low = from + (row * stride);
            PackRow(low, row < rows ? width : 0, low + (half * stride), row + half < rows ? width : 0, factor, to, paddedWidth);
        }
    }

    public static void PackAlong(float* row, int width, float* to) => PackAlong(row, width, Words(width), to);

    /// <summary>As above, with zeros to some number of words.</summary>
    public static void PackAlong(float* row, int width, int words, float* to)
    {
        var half = (width + 1) / 2;
        PackRow(row, half, row + half, width - half, 1, to, words);
    }

    public static void PackSums(float* rows, nint stride, int keys, int width, float* room, float* to) =>
        PackRows(rows, stride, keys, keys, width, 1, to, width);

    public static (nint Number, nint Word) SumStrides(nint width) => (1, width);

    /// <summary>Puts two rows of inputs into some words, one beside the other, filled up with zeros.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static void PackRow(float* low, int lowCount, float* high, int highCount, float factor, float* to, int words)
    {
        var i = 0;
        for (; i + Lanes <= Math.Min(lowCount, highCount); i += Lanes)
            (
                Round(Vector512.Load(low + i) * factor) >>> 16 | (Round(Vector512.Load(high + i) * factor) & Vector512.Create(0xFFFF0000))
            ).Store((uint*)to + i);
        for (; i < words; i++)
        {
            uint first = i < lowCount ? Round(low[i] * factor) >> 16 : 0, second = i < highCount ? Round(high[i] * factor) & 0xFFFF0000 : 0;
            ((uint*)to)[i] = first | second;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static void FoldRows(float* numbers, int rows, int lanes)
    {
        int half = (rows + 1) / 2 * lanes, whole = rows / 2 * lanes;
        for (var i = 0; i < whole; i += Lanes)
            Fold(Vector512.Load(numbers + i), Vector512.Load(numbers + half + i)).Store((uint*)numbers + i);
        for (var i = whole; i < half; i += Lanes) Fold(Vector512.Load(numbers + i), Vector512<float>.Zero).Store((uint*)numbers + i);
    }

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static float* FoldLanes(float* numbers, int rows, int lanes, float* room)
    {
        var half = lanes / 2;
        for (int row = 0, from = 0; row < rows; row++, from += lanes)
        {
            for (var i = from; i < from + half; i += Lanes)
                Fold(Vector512.Load(numbers + i), Vector512.Load(numbers + i + half)).Store((uint*)room + i - (row * half));
        }

        return room;
    }

    public static void Multiply(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int m, int n, int k,
        bool add) => AttentionProduct.Run(a, aRow, aColumn, b, bRow, c, cRow, m, n, k, add);

    /// <summary>The product of two rows, of which one is an input and is rounded.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    public static float Dot(float* row, float* input, int count)
    {
        var upper = Vector512.Create(0xFFFF0000);
        var sum = Vector512<float>.Zero;
        var i = 0;
        for (; i + Lanes <= count; i += Lanes)
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(row + i), (Round(Vector512.Load(input + i)) & upper).AsSingle(), sum);
        var total = Vector512.Sum(sum);
        for (; i < count; i++) total += row[i] * BitConverter.UInt32BitsToSingle(Round(input[i]) & 0xFFFF0000);
        return total;
    }

    /// <summary>Two computed numbers in a word, rounded to nearest and ties away from zero, which is one instruction; their NaNs,
    /// quiet ones made from the packed inputs, survive it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Fold(Vector512<float> low, Vector512<float> high)
    {
        var half = Vector512.Create(0x8000u);
        return (low.AsUInt32() + half) >>> 16 | ((high.AsUInt32() + half) & Vector512.Create(0xFFFF0000));
    }

    /// <summary>The nearest BF16 in the upper half of each word, ties to even; the lower half is undefined.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Round(Vector512<float> value)
    {
        var bits = value.AsUInt32();
        var rounded = bits + Vector512.Create(0x7FFFu) + (bits >>> 16 & Vector512.Create(1u));
        return Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, Vector512.Create(0x7FC00000u));
    }

    private static uint Round(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? 0x7FC00000 : bits + 0x7FFF + (bits >> 16 & 1);
    }
}
