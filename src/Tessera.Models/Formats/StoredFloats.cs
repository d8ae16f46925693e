using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>How files store real numbers: the types of tensors, and those that only files have.</summary>
internal static class StoredFloats
{
    private const string AllNames = "F64, F32, F16, BF16, F8_E5M2, F8_E4M3, Q8_0, Q4_0, Q4_K, Q6_K";

    private static readonly float[] s_e4m3 = [.. Enumerable.Range(0, 256).Select(E4M3)];

    /// <summary>How many elements are stored together and in how many bytes, or null where they are not numbers that can be read.</summary>
    public static (int Elements, int Bytes)? Block(StoredTensor tensor) => tensor switch
    {
        { Element: { } type } => type.IsReal() ? (type.BlockElements(), type.BlockBytes()) : null,
        { Type: "F64" } => (1, 8),
        { Type: "F8_E5M2" or "F8_E4M3" } => (1, 1),
        _ => null,
    };

    /// <summary>As <see cref="Block"/>.</summary>
    /// <exception cref="InvalidDataException">They cannot be read.</exception>
    public static (int Elements, int Bytes) RequireBlock(string path, StoredTensor tensor) => Block(tensor)
        ?? throw new InvalidDataException($"{path}: tensor {tensor} does not hold floats that can be read; allowed: {AllNames}");

    /// <summary>Converts whole blocks to F32: F64 rounded to nearest, all others exactly.</summary>
    public static void Convert(StoredTensor tensor, ReadOnlySpan<byte> from, Span<float> to)
    {
        if (tensor.Element is { } type)
        {
            type.ToFloats(from, to);
            return;
        }

        switch (tensor.Type)
        {
            case "F64":
                TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, double>(from), to);
                break;
            case "F8_E5M2": // the upper half of an F16
                for (var i = 0; i < to.Length; i++) to[i] = (float)BitConverter.UInt16BitsToHalf((ushort)(from[i] << 8));
                break;
            default:
                for (var i = 0; i < to.Length; i++) to[i] = s_e4m3[from[i]];
                break;
        }
    }

    /// <summary>4 bits of exponent, biased by 7, and 3 of mantissa; no infinities, and of the greatest exponent only the greatest
    /// mantissa is no number (Micikevicius et al. 2022, arXiv 2209.05433, table 1).</summary>
    private static float E4M3(int bits)
    {
        var (exponent, mantissa) = ((bits >> 3) & 15, bits & 7);
        var magnitude = exponent == 15 && mantissa == 7 ? float.NaN
            : exponent == 0 ? MathF.ScaleB(mantissa, -9)
            : MathF.ScaleB(8 + mantissa, exponent - 10);
        return (bits & 128) == 0 ? magnitude : -magnitude;
    }
}
