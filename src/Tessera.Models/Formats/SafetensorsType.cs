using System.Diagnostics.CodeAnalysis;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>What an element of a tensor in a safetensors file is, in the order in which the reference implementation
/// ranks the types when it lays out a file.</summary>
[SuppressMessage("Naming", "CA1707:Identifiers should not contain underscores", Justification = "safetensors' names of its types")]
public enum SafetensorsType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>4-bit float: 2 bits of exponent, 1 of mantissa; two in a byte.</summary>
    F4,

    /// <summary>6-bit float: 2 bits of exponent, 3 of mantissa; four in three bytes.</summary>
    F6_E2M3,

    /// <summary>6-bit float: 3 bits of exponent, 2 of mantissa; four in three bytes.</summary>
    F6_E3M2,

    /// <summary>Unsigned, 8 bits.</summary>
    U8,

    /// <summary>Signed, 8 bits.</summary>
    I8,

    /// <summary>8-bit float: 5 bits of exponent, 2 of mantissa.</summary>
    F8_E5M2,

    /// <summary>8-bit float: 4 bits of exponent, 3 of mantissa; no infinities.</summary>
    F8_E4M3,

    /// <summary>8 bits of exponent: a power of two.</summary>
    F8_E8M0,

    /// <summary>8-bit float: 4 bits of exponent, biased by 8, 3 of mantissa; no infinities, no −0.</summary>
    F8_E4M3FNUZ,

    /// <summary>8-bit float: 5 bits of exponent, biased by 16, 2 of mantissa; no infinities, no −0.</summary>
    F8_E5M2FNUZ,

    /// <summary>Signed, 16 bits.</summary>
    I16,

    /// <summary>Unsigned, 16 bits.</summary>
    U16,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>The upper half of a binary32.</summary>
    BF16,

    /// <summary>Signed, 32 bits.</summary>
    I32,

    /// <summary>Unsigned, 32 bits.</summary>
    U32,

    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>Complex: two of <see cref="F32"/>.</summary>
    C64,

    /// <summary>IEEE 754 binary64.</summary>
    F64,

    /// <summary>Signed, 64 bits.</summary>
    I64,

    /// <summary>Unsigned, 64 bits.</summary>
    U64,
}

/// <summary>Facts about a <see cref="SafetensorsType"/>.</summary>
internal static class SafetensorsTypes
{
    private static readonly string[] s_names = [.. Enum.GetNames<SafetensorsType>().Select(name => name.ToUpperInvariant())];

    /// <summary>All names, as a file writes them, for messages.</summary>
    internal static string AllNames => string.Join(", ", s_names);

    /// <summary>Bits an element takes.</summary>
    public static int Bits(this SafetensorsType type) => type switch
    {
        SafetensorsType.F4 => 4,
        SafetensorsType.F6_E2M3 or SafetensorsType.F6_E3M2 => 6,
        <= SafetensorsType.F8_E5M2FNUZ => 8,
        <= SafetensorsType.BF16 => 16,
        <= SafetensorsType.F32 => 32,
        _ => 64,
    };

    /// <summary>Bytes that a tensor takes.</summary>
    /// <exception cref="OverflowException">More than 2⁶³ − 1, or a size is multiplied beyond that before a size of 0.</exception>
    /// <exception cref="ArgumentException">They would not be whole bytes.</exception>
    public static long Bytes(this SafetensorsType type, IEnumerable<long> shape)
    {
        var bits = (Int128)type.Bits();
        foreach (var size in shape)
        {
            bits = checked(bits * size);
            if (bits / 8 > long.MaxValue) throw new OverflowException();
        }

        return bits % 8 == 0
            ? (long)(bits / 8)
            : throw new ArgumentException($"{bits / type.Bits()} elements of {type.Name()} are not whole bytes", nameof(shape));
    }

    /// <summary>The name in a file's header, such as <c>F8_E4M3</c>.</summary>
    public static string Name(this SafetensorsType type) => s_names[(int)type];

    /// <summary>The type that tensors of Tessera have for it; null where they have none.</summary>
    public static ElementType? Element(this SafetensorsType type) => type switch
    {
        SafetensorsType.F32 => ElementType.F32,
        SafetensorsType.F16 => ElementType.F16,
        SafetensorsType.BF16 => ElementType.BF16,
        SafetensorsType.I32 => ElementType.I32,
        _ => null,
    };

    /// <summary>The type of a name in a file's header; false where there is none.</summary>
    public static bool TryParse(string name, out SafetensorsType type)
    {
        var index = Array.IndexOf(s_names, name);
        type = (SafetensorsType)Math.Max(index, 0);
        return index >= 0;
    }
}
