using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Q4_K: two F16 scales, 12 bytes with 8 scales s and 8 minima m of 6 bits, and 128 bytes with 256 four-bit numbers:
/// <c>x = d s q − dmin m</c> in 8 groups of 32. Byte 32 i + j holds element j of group 2i in its low half and of group 2i + 1
/// in its high half.
/// </summary>
internal static unsafe class Q4KFormat
{
    public const int Elements = 256, Bytes = 144, Scales = 4, Numbers = 16, Group = 32, Groups = 8;

    private const int MaxScale = 63, MaxNumber = 15;

    public static void Store(float* from, byte* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Elements, to += Bytes) Store(from, to);
    }

    public static void Load(byte* from, float* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Bytes)
        {
            var (scale, minimum) = (QuantizedFormat.Scale(from), QuantizedFormat.Scale(from + 2));
            for (var group = 0; group < Groups; group++, to += Group)
            {
                var pairs = from + Numbers + (group / 2 * Group);
                var shift = group % 2 * 4;
                var (s, m) = ScaleAndMinimum(from + Scales, group);
                for (var i = 0; i < Group; i += 16)
                {
                    var numbers = (Vector128.Load(pairs + i) >>> shift) & Vector128.Create((byte)15);
                    QuantizedFormat.Expand(numbers.AsSByte(), scale * s, minimum * m, to + i);
                }
            }
        }
    }

    /// <summary>Scale and minimum of a group: of the first four in the low 6 bits of a byte each, of the last four in the
    /// halves of the last four bytes and the high 2 bits of the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int Scale, int Minimum) ScaleAndMinimum(byte* scales, int group) => group < 4
        ? (scales[group] & 63, scales[group + 4] & 63)
        : ((scales[group + 4] & 15) | (scales[group - 4] >> 6 << 4), (scales[group + 4] >> 4) | (scales[group] >> 6 << 4));

    /// <summary>All 8 scales, and all 8 minima, one a byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (ulong Scales, ulong Minima) AllScales(byte* scales)
    {
        var first = Unsafe.ReadUnaligned<uint>(scales);
        var second = Unsafe.ReadUnaligned<uint>(scales + 4);
        var third = Unsafe.ReadUnaligned<uint>(scales + 8);
        var highScales = (third & 0x0F0F0F0F) | ((first >> 2) & 0x30303030);
        var highMinima = ((third >> 4) & 0x0F0F0F0F) | ((second >> 2) & 0x30303030);
        return ((first & 0x3F3F3F3F) | ((ulong)highScales << 32), (second & 0x3F3F3F3F) | ((ulong)highMinima << 32));
    }

    private static void Store(float* from, byte* to)
    {
        var numbers = stackalloc byte[Elements];
        Store(from, MaxNumber, first: -1, trials: 21, numbers, to);
        for (var pair = 0; pair < Elements; pair += 2 * Group)
            for (var i = 0; i < Group; i++)
                to[Numbers + (pair / 2) + i] = (byte)(numbers[pair + i] | (numbers[pair + Group + i] << 4));
    }

    /// <summary>Finds numbers up to <paramref name="max"/>, and stores scales and minima as types with groups of 32 do.</summary>
    internal static void Store(float* from, int max, float first, int trials, byte* numbers, byte* to)
    {
        var scales = stackalloc float[Groups];
        var minima = stackalloc float[Groups];
        float greatestScale = 0, greatestMinimum = 0;
        for (var group = 0; group < Groups; group++)
        {
            scales[group] = QuantizedSearch.ScaleAndMinimum(
                from + (group * Group), Group, max, first, trials, numbers + (group * Group), out minima[group]);
            greatestScale = MathF.Max(greatestScale, scales[group]);
            greatestMinimum = MathF.Max(greatestMinimum, minima[group]);
        }

        StoreScales(scales, greatestScale, minima, greatestMinimum, to + Scales);
        var scale = QuantizedFormat.StoreScale(to, greatestScale / MaxScale);
        var minimum = QuantizedFormat.StoreScale(to + 2, greatestMinimum / MaxScale);
        for (var group = 0; group < Groups; group++)
        {
            var (s, m) = ScaleAndMinimum(to + Scales, group);
            if (scale * s == 0) continue;
            for (var i = group * Group; i < (group + 1) * Group; i++)
                numbers[i] = (byte)QuantizedFormat.Nearest((from[i] + (minimum * m)) / (scale * s), 0, max);
        }
    }

    private static void StoreScales(float* scales, float greatestScale, float* minima, float greatestMinimum, byte* to)
    {
        var inverseScale = greatestScale > 0 ? MaxScale / greatestScale : 0;
        var inverseMinimum = greatestMinimum > 0 ? MaxScale / greatestMinimum : 0;
        for (var group = 0; group < Groups; group++)
        {
            var s = QuantizedFormat.Nearest(inverseScale * scales[group], 0, MaxScale);
            var m = QuantizedFormat.Nearest(inverseMinimum * minima[group], 0, MaxScale);
            if (group < 4)
            {
                (to[group], to[group + 4]) = ((byte)s, (byte)m);
            }
            else
            {
                to[group + 4] = (byte)((s & 15) | ((m & 15) << 4));
                to[group - 4] |= (byte)(s >> 4 << 6);
                to[group] |= (byte)(m >> 4 << 6);
            }
        }
    }
}

/// <summary>
/// Q6_K: 128 bytes with the low 4 bits and 64 bytes with the high 2 bits of 256 numbers, 16 signed scales s and an F16 scale:
/// <c>x = d s (q − 32)</c> in 16 groups of 16. Of each half of 128 elements, low byte i holds elements i and i + 64, high byte
/// i holds elements i, i + 32, i + 64 and i + 96.
/// </summary>
internal static unsafe class Q6KFormat
{
    public const int Elements = 256, Bytes = 210, High = 128, Scales = 192, Scale = 208, Group = 16, Groups = 16, Zero = 32;

    private const float Negligible = 1e-15f;

    public static void Store(float* from, byte* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Elements, to += Bytes) Store(from, to);
    }

    public static void Load(byte* from, float* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Bytes)
        {
            var scale = QuantizedFormat.Scale(from + Scale);
            for (var group = 0; group < Groups; group++, to += Group)
                QuantizedFormat.Expand(Numbers(from, group), scale * ((sbyte*)from)[Scales + group], 0, to);
        }
    }

    /// <summary>The numbers of a group, −32 to 31.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<sbyte> Numbers(byte* block, int group)
    {
        var (half, quarter, offset) = (group / 8, group % 8 / 2, group % 2 * Group);
        var low = Vector128.Load(block + (half * 64) + (quarter % 2 * 32) + offset) >>> (quarter / 2 * 4);
        var high = Vector128.Load(block + High + (half * 32) + offset) >>> (quarter * 2);
        var numbers = (low & Vector128.Create((byte)15)) | ((high & Vector128.Create((byte)3)) << 4);
        return numbers.AsSByte() - Vector128.Create((sbyte)Zero);
    }

    private static void Store(float* from, byte* to)
    {
        var numbers = stackalloc byte[Elements];
        var scales = stackalloc float[Groups];
        var greatest = 0f;
        for (var group = 0; group < Groups; group++)
        {
            scales[group] = QuantizedSearch.Scale(from + (group * Group), Group, Zero, numbers + (group * Group));
            if (MathF.Abs(scales[group]) > MathF.Abs(greatest)) greatest = scales[group];
        }

        if (MathF.Abs(greatest) < Negligible)
        {
            new Span<byte>(to, Bytes).Clear();
            return;
        }

        var inverse = -128f / greatest;
        var scale = QuantizedFormat.StoreScale(to + Scale, 1 / inverse);
        for (var group = 0; group < Groups; group++)
        {
            var s = QuantizedFormat.Nearest(inverse * scales[group], -128, 127);
            ((sbyte*)to)[Scales + group] = (sbyte)s;
            if (scale * s == 0) continue;
            for (var i = group * Group; i < (group + 1) * Group; i++)
                numbers[i] = (byte)(QuantizedFormat.Nearest(from[i] / (scale * s), -Zero, Zero - 1) + Zero);
        }

        for (var half = 0; half < 2; half++) StoreNumbers(numbers + (half * 128), to + (half * 64), to + High + (half * 32));
    }

    private static void StoreNumbers(byte* numbers, byte* low, byte* high)
    {
        for (var i = 0; i < 32; i++)
        {
            int first = numbers[i], second = numbers[i + 32], third = numbers[i + 64], fourth = numbers[i + 96];
            low[i] = (byte)((first & 15) | ((third & 15) << 4));
            low[i + 32] = (byte)((second & 15) | ((fourth & 15) << 4));
            high[i] = (byte)((first >> 4) | (second >> 4 << 2) | (third >> 4 << 4) | (fourth >> 4 << 6));
        }
    }
}
