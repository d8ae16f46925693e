using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>How files store real numbers: the types of tensors, and those that only files have.</summary>
internal static class StoredFloats
{
    private const int Sign = 0x80;

    /// <summary>What each byte of an 8-bit float stands for. E5M2 is the upper half of a binary16; E4M3 has a NaN where all bits of
    /// the magnitude are set, and no infinity (Micikevicius et al. 2022, arXiv 2209.05433, table 1); the others have their NaN
    /// where −0 would be. E8M0 is a power of two (OCP Microscaling Formats, version 1.0, section 5.4.1).</summary>
    private static readonly Dictionary<string, float[]> s_bytes = new(StringComparer.Ordinal)
    {
        ["F8_E5M2"] = All(bits => (float)BitConverter.UInt16BitsToHalf((ushort)(bits << 8))),
        ["F8_E4M3"] = All(bits => (bits | Sign) == 0xFF ? float.NaN : Value(bits, mantissaBits: 3, bias: 7)),
        ["F8_E8M0"] = All(bits => bits == 0xFF ? float.NaN : MathF.ScaleB(1, bits - 127)),
        ["F8_E4M3FNUZ"] = All(bits => bits == Sign ? float.NaN : Value(bits, mantissaBits: 3, bias: 8)),
        ["F8_E5M2FNUZ"] = All(bits => bits == Sign ? float.NaN : Value(bits, mantissaBits: 2, bias: 16)),
    };

    /// <summary>How many elements are stored together and in how many bytes, or null where they are not numbers that can be read.</summary>
    /// <param name="type">The type, as the format names it.</param>
    /// <param name="element">The same as a type of tensors; null where they have none.</param>
    public static (int Elements, int Bytes)? Block(string type, ElementType? element)
    {
        if (element is { } known) return known.IsReal() ? (known.BlockElements(), known.BlockBytes()) : null;
        if (type == "F64") return (1, sizeof(double));
        return s_bytes.ContainsKey(type) ? (1, 1) : null;
    }

    /// <summary>The names of the types that can be read.</summary>
    public static string Readable { get; } = string.Join(
        ", ", ["F64", .. Enum.GetValues<ElementType>().Where(type => type.IsReal()).Select(type => type.ToString()), .. s_bytes.Keys]);

    /// <summary>Converts whole blocks to F32: F64 rounded to nearest, all others exactly.</summary>
    public static void Convert(string type, ElementType? element, ReadOnlySpan<byte> from, Span<float> to)
    {
        if (element is { } known)
        {
            known.ToFloats(from, to);
        }
        else if (type == "F64")
        {
            TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, double>(from), to); // truncates integers only
        }
        else
        {
            var values = s_bytes[type];
            for (var i = 0; i < to.Length; i++) to[i] = values[from[i]];
        }
    }

    private static float[] All(Func<int, float> value) => [.. Enumerable.Range(0, 256).Select(value)];

    /// <summary>Sign, exponent, mantissa: subnormal where the exponent is 0, and nothing special above.</summary>
    private static float Value(int bits, int mantissaBits, int bias)
    {
        var (exponent, mantissa) = ((bits & ~Sign) >> mantissaBits, bits & ((1 << mantissaBits) - 1));
        var magnitude = exponent == 0
            ? MathF.ScaleB(mantissa, 1 - bias - mantissaBits)
            : MathF.ScaleB((1 << mantissaBits) + mantissa, exponent - bias - mantissaBits);
        return (bits & Sign) == 0 ? magnitude : -magnitude;
    }
}
