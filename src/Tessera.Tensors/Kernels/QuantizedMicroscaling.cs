using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// MXFP4: an exponent and 16 bytes, byte i holding element i in its low half and i + 16 in its high half; <c>x = 2^(e − 127) f</c>
/// with f a float of 4 bits: sign, 2 bits of exponent, 1 of mantissa.
/// <para>OCP Microscaling Formats, version 1.0, sections 5.3.3 and 5.4.1; the order of the elements is llama.cpp's.</para>
/// </summary>
internal static unsafe class Mxfp4Format
{
    public const int Elements = 32, Bytes = 17, Numbers = 1;

    private const int GreatestExponent = 2; // 6 = 1.5 · 2²

    /// <summary>Twice what each 4-bit float stands for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<sbyte> Twice(Vector128<byte> halves) =>
        Vector128.Shuffle(Vector128.Create((sbyte)0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12), halves.AsSByte());

    /// <summary>What <see cref="Twice"/> is multiplied by: <c>2^(e − 128)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scale(byte* block) => BitConverter.Int32BitsToSingle(*block < 2 ? 0x00200000 << *block : (*block - 1) << 23);

    public static void Store(float* from, byte* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Elements, to += Bytes)
        {
            var greatest = 0f;
            for (var i = 0; i < Elements; i++) greatest = MathF.Max(greatest, MathF.Abs(from[i]));
            *to = greatest > 0 ? (byte)Math.Clamp(MathF.Floor(MathF.Log2(greatest)) - GreatestExponent + 127, 0, 254) : (byte)0;
            var scale = Scale(to);
            for (var i = 0; i < Elements / 2; i++)
                to[Numbers + i] = (byte)(Nearest(from[i], scale) | (Nearest(from[i + (Elements / 2)], scale) << 4));
        }
    }

    public static void Load(byte* from, float* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Bytes, to += Elements)
        {
            var scale = Scale(from);
            var pairs = Vector128.Load(from + Numbers);
            QuantizedFormat.Expand(Twice(pairs & Vector128.Create((byte)15)), scale, 0, to);
            QuantizedFormat.Expand(Twice(pairs >>> 4), scale, 0, to + (Elements / 2));
        }
    }

    /// <summary>The 4-bit float nearest to a number; of two the one of smaller magnitude, and +0 for −0.</summary>
    private static int Nearest(float value, float scale)
    {
        var magnitude = MathF.Abs(value);
        var best = 0;
        for (var code = 1; code < 8; code++)
            if (Distance(code) < Distance(best)) best = code;
        return value < 0 && best > 0 ? best | 8 : best;

        float Distance(int code) => MathF.Abs((Magnitude(code) * scale) - magnitude);
    }

    /// <summary>Twice the magnitude that three bits stand for.</summary>
    private static int Magnitude(int code) => code < 2 ? code : (2 + (code & 1)) << ((code >> 1) - 1);
}

/// <summary>A block of MXFP4.</summary>
internal readonly unsafe struct Mxfp4Block : IStoredBlock<Mxfp4Block>
{
    private readonly byte* _block;

    private Mxfp4Block(byte* block) => _block = block;

    public static int Parts => 1;

    public static int Bytes => Mxfp4Format.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Mxfp4Block Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to)
    {
        for (var part = 0; part < 8; part++) to[part] = Mxfp4Format.Scale(block + (part * Bytes));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part)
    {
        var pairs = Vector128.Load(block + Mxfp4Format.Numbers);
        return Vector256.Create(Mxfp4Format.Twice(pairs & Vector128.Create((byte)15)), Mxfp4Format.Twice(pairs >>> 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => Mxfp4Format.Scale(_block);

    public float LastScale(int part) => Scale(part);

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => Minimum(part);
}
