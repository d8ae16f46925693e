using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>What an element of a tensor in a safetensors file is, in the order in which the reference implementation
/// ranks the types when it lays out a file.</summary>
public enum SafetensorsType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Unsigned, 8 bits.</summary>
    U8,

    /// <summary>Signed, 8 bits.</summary>
    I8,

    /// <summary>8-bit float: 5 bits of exponent, 2 of mantissa.</summary>
    F8E5M2,

    /// <summary>8-bit float: 4 bits of exponent, 3 of mantissa.</summary>
    F8E4M3,

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

    /// <summary>IEEE 754 binary64.</summary>
    F64,

    /// <summary>Signed, 64 bits.</summary>
    I64,

    /// <summary>Unsigned, 64 bits.</summary>
    U64,
}

/// <summary>Facts about a <see cref="SafetensorsType"/>.</summary>
public static class SafetensorsTypes
{
    private static readonly string[] s_names =
        ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64"];

    /// <summary>All names, as a file writes them, for messages.</summary>
    internal static string AllNames => string.Join(", ", s_names);

    /// <summary>Bytes an element takes.</summary>
    public static int Size(this SafetensorsType type) => type switch
    {
        <= SafetensorsType.F8E4M3 => 1,
        <= SafetensorsType.BF16 => 2,
        <= SafetensorsType.F32 => 4,
        _ => 8,
    };

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
