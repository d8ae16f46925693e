using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>How types store real numbers: what llama.cpp's reference code writes and reads, bit for bit.</summary>
internal static unsafe class QuantizedFormat
{
    /// <summary>What the exponents of F32 and F16 differ by.</summary>
    public const float TwoTo112 = 5192296858534827628530496329220096f;

    private const float HalfInfinity = 65520; // and above rounds to infinity

    /// <summary>Expands the elements stored in <paramref name="from"/>, whole blocks, to F32.</summary>
    public static void Load(ElementType type, ReadOnlySpan<byte> from, Span<float> to)
    {
        if (from.Length != type.Bytes(to.Length))
            throw new ArgumentException($"{from.Length} bytes are not {to.Length} elements of {type}");
        fixed (byte* pFrom = from)
        fixed (float* pTo = to)
            Load(type, pFrom, pTo, to.Length);
    }

    /// <summary>Expands <paramref name="count"/> elements, whole blocks, to F32.</summary>
    public static void Load(ElementType type, byte* from, float* to, int count)
    {
        var blocks = count / type.BlockElements();
        switch (type)
        {
            case ElementType.F32: new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count)); break;
            case ElementType.F16: HalfFormat.Load(from, to, blocks); break;
            case ElementType.BF16: BrainFormat.Load(from, to, blocks); break;
            case ElementType.Q8_0: Q8Format.Load(from, to, blocks); break;
            case ElementType.Q4_0: Q4Format.Load(from, to, blocks); break;
            case ElementType.Q4_K: Q4KFormat.Load(from, to, blocks); break;
            case ElementType.Q6_K: Q6KFormat.Load(from, to, blocks); break;
            case ElementType.MXFP4: Mxfp4Format.Load(from, to, blocks); break;
            case ElementType.Q4_1: LoadBlocks<Q41Block>(from, to, blocks); break;
            case ElementType.Q5_0: LoadBlocks<Q50Block>(from, to, blocks); break;
            case ElementType.Q5_1: LoadBlocks<Q51Block>(from, to, blocks); break;
            case ElementType.Q5_K: LoadBlocks<Q5KBlock>(from, to, blocks); break;
            case ElementType.Q2_K: LoadBlocks<Q2KBlock>(from, to, blocks); break;
            case ElementType.Q3_K: LoadBlocks<Q3KBlock>(from, to, blocks); break;
            case ElementType.IQ4_NL: LoadBlocks<Iq4Block>(from, to, blocks); break;
            case ElementType.IQ4_XS: LoadBlocks<Iq4XsBlock>(from, to, blocks); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of real numbers");
        }
    }

    /// <summary>Stores <paramref name="count"/> F32 elements, whole blocks.</summary>
    public static void Store(ElementType type, float* from, byte* to, int count)
    {
        var blocks = count / type.BlockElements();
        switch (type)
        {
            case ElementType.F32: new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count)); break;
            case ElementType.F16: HalfFormat.Store(from, to, blocks); break;
            case ElementType.BF16: BrainFormat.Store(from, to, blocks); break;
            case ElementType.Q8_0: Q8Format.Store(from, to, blocks); break;
            case ElementType.Q4_0: Q4Format.Store(from, to, blocks); break;
            case ElementType.Q4_K: Q4KFormat.Store(from, to, blocks); break;
            case ElementType.Q6_K: Q6KFormat.Store(from, to, blocks); break;
            case ElementType.MXFP4: Mxfp4Format.Store(from, to, blocks); break;
            case ElementType.Q4_1: Q41Format.Store(from, to, blocks); break;
            case ElementType.Q5_0: Q50Format.Store(from, to, blocks); break;
            case ElementType.Q5_1: Q51Format.Store(from, to, blocks); break;
            case ElementType.Q5_K: Q5KFormat.Store(from, to, blocks); break;
            case ElementType.Q2_K or ElementType.Q3_K or ElementType.IQ4_NL or ElementType.IQ4_XS:
                throw new ArgumentException($"convert: {type} is read from files, not written; llama.cpp's tools write it");
            default: throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of real numbers");
        }
    }

    /// <summary>Expands whole blocks as a product reads them.</summary>
    private static void LoadBlocks<B>(byte* from, float* to, int blocks) where B : struct, IStoredBlock<B>
    {
        for (; blocks > 0; blocks--, from += B.Bytes)
        {
            var block = B.Open(from);
            for (var part = 0; part < B.Parts; part++, to += 32)
            {
                var numbers = B.Numbers(from, part);
                Expand(numbers.GetLower(), block.Scale(part), block.Minimum(part), to);
                Expand(numbers.GetUpper(), block.LastScale(part), block.LastMinimum(part), to + 16);
            }
        }
    }

    /// <summary>Reads an F16 scale. Its bits are a float's, 13 places lower, with an exponent that is 112 smaller but for
    /// infinity and NaN, which no quantizer writes. Nothing is called: loops keep their sums in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scale(byte* from)
    {
        int bits = Unsafe.ReadUnaligned<ushort>(from);
        var magnitude = bits & 0x7FFF;
        var special = ((0x7BFF - magnitude) >> 31) & 0x7F800000;
        var value = BitConverter.Int32BitsToSingle(magnitude << 13) * TwoTo112;
        return BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(value) | special | ((bits & 0x8000) << 16));
    }

    /// <summary>As <see cref="Scale"/>, from the bits of eight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scales(Vector256<uint> bits)
    {
        var magnitude = bits & Vector256.Create(0x7FFFu);
        var special = Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x7BFF)).AsUInt32() & Vector256.Create(0x7F800000u);
        var value = (magnitude << 13).AsSingle() * Vector256.Create(TwoTo112);
        return (value.AsUInt32() | special | ((bits & Vector256.Create(0x8000u)) << 16)).AsSingle();
    }

    /// <summary>Writes an F16 scale and returns what was written.</summary>
    /// <exception cref="ArgumentException">The scale is beyond what F16 holds.</exception>
    public static float StoreScale(byte* to, float scale)
    {
        if (!(MathF.Abs(scale) < HalfInfinity))
            throw new ArgumentException($"convert: a block of these elements needs the scale {scale}, more than F16 holds");
        var half = (Half)scale;
        Unsafe.WriteUnaligned(to, half);
        return (float)half;
    }

    /// <summary><c>to[i] = scale · numbers[i] − minimum</c> for 16 elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Expand(Vector128<sbyte> numbers, float scale, float minimum, float* to)
    {
        var (low, high) = Vector128.Widen(numbers);
        var (first, second) = Vector128.Widen(low);
        var (third, fourth) = Vector128.Widen(high);
        var (scales, minima) = (Vector128.Create(scale), Vector128.Create(minimum));
        ((Vector128.ConvertToSingle(first) * scales) - minima).Store(to);
        ((Vector128.ConvertToSingle(second) * scales) - minima).Store(to + 4);
        ((Vector128.ConvertToSingle(third) * scales) - minima).Store(to + 8);
        ((Vector128.ConvertToSingle(fourth) * scales) - minima).Store(to + 12);
    }

    /// <summary>The nearest whole number, the even one of two, kept between bounds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Nearest(float value, int min, int max) => (int)Math.Clamp(MathF.Round(value), min, max);
}
