using Tessera.Tensors;

namespace Tessera.Models.Formats.Gguf;

/// <summary>The type of a tensor's elements in a GGUF file; the numbers are the file's (<c>ggml_type</c>).</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage(
    "Naming", "CA1707:Identifiers should not contain underscores", Justification = "GGUF's names of its types")]
public enum GgufType
{
    /// <summary>IEEE binary32.</summary>
    F32 = 0,

    /// <summary>IEEE binary16.</summary>
    F16 = 1,

    /// <summary>Blocks of 32: a scale and 4 bits a value.</summary>
    Q4_0 = 2,

    /// <summary>Blocks of 32: a scale, a minimum and 4 bits a value.</summary>
    Q4_1 = 3,

    /// <summary>Blocks of 32: a scale and 5 bits a value.</summary>
    Q5_0 = 6,

    /// <summary>Blocks of 32: a scale, a minimum and 5 bits a value.</summary>
    Q5_1 = 7,

    /// <summary>Blocks of 32: a scale and 8 bits a value.</summary>
    Q8_0 = 8,

    /// <summary>Blocks of 32: a scale, a sum and 8 bits a value; of activations only.</summary>
    Q8_1 = 9,

    /// <summary>Blocks of 256: 2 bits a value.</summary>
    Q2_K = 10,

    /// <summary>Blocks of 256: 3 bits a value.</summary>
    Q3_K = 11,

    /// <summary>Blocks of 256: 4 bits a value, scales and minima of 6 bits.</summary>
    Q4_K = 12,

    /// <summary>Blocks of 256: 5 bits a value, scales and minima of 6 bits.</summary>
    Q5_K = 13,

    /// <summary>Blocks of 256: 6 bits a value, scales of 8 bits.</summary>
    Q6_K = 14,

    /// <summary>Blocks of 256: 8 bits a value; of activations only.</summary>
    Q8_K = 15,

    /// <summary>Blocks of 256: a codebook, 2.06 bits a value.</summary>
    IQ2_XXS = 16,

    /// <summary>Blocks of 256: a codebook, 2.31 bits a value.</summary>
    IQ2_XS = 17,

    /// <summary>Blocks of 256: a codebook, 3.06 bits a value.</summary>
    IQ3_XXS = 18,

    /// <summary>Blocks of 256: a codebook, 1.56 bits a value.</summary>
    IQ1_S = 19,

    /// <summary>Blocks of 32: a scale and 4 bits a value from a table.</summary>
    IQ4_NL = 20,

    /// <summary>Blocks of 256: a codebook, 3.44 bits a value.</summary>
    IQ3_S = 21,

    /// <summary>Blocks of 256: a codebook, 2.56 bits a value.</summary>
    IQ2_S = 22,

    /// <summary>Blocks of 256: 4 bits a value from a table, scales of 6 bits.</summary>
    IQ4_XS = 23,

    /// <summary>Signed 8-bit integer.</summary>
    I8 = 24,

    /// <summary>Signed 16-bit integer.</summary>
    I16 = 25,

    /// <summary>Signed 32-bit integer.</summary>
    I32 = 26,

    /// <summary>Signed 64-bit integer.</summary>
    I64 = 27,

    /// <summary>IEEE binary64.</summary>
    F64 = 28,

    /// <summary>Blocks of 256: a codebook, 1.75 bits a value.</summary>
    IQ1_M = 29,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16 = 30,

    /// <summary>Blocks of 256: ternary, 1.69 bits a value.</summary>
    TQ1_0 = 34,

    /// <summary>Blocks of 256: ternary, 2.06 bits a value.</summary>
    TQ2_0 = 35,

    /// <summary>Blocks of 32: a shared exponent and 4-bit floats.</summary>
    MXFP4 = 39,
}

/// <summary>Facts about a <see cref="GgufType"/>.</summary>
internal static class GgufTypes
{
    private static readonly Dictionary<GgufType, (int Values, int Bytes)> s_blocks = new()
    {
        [GgufType.F32] = (1, 4), [GgufType.F16] = (1, 2), [GgufType.Q4_0] = (32, 18), [GgufType.Q4_1] = (32, 20),
        [GgufType.Q5_0] = (32, 22), [GgufType.Q5_1] = (32, 24), [GgufType.Q8_0] = (32, 34), [GgufType.Q8_1] = (32, 36),
        [GgufType.Q2_K] = (256, 84), [GgufType.Q3_K] = (256, 110), [GgufType.Q4_K] = (256, 144), [GgufType.Q5_K] = (256, 176),
        [GgufType.Q6_K] = (256, 210), [GgufType.Q8_K] = (256, 292), [GgufType.IQ2_XXS] = (256, 66), [GgufType.IQ2_XS] = (256, 74),
        [GgufType.IQ3_XXS] = (256, 98), [GgufType.IQ1_S] = (256, 50), [GgufType.IQ4_NL] = (32, 18), [GgufType.IQ3_S] = (256, 110),
        [GgufType.IQ2_S] = (256, 82), [GgufType.IQ4_XS] = (256, 136), [GgufType.I8] = (1, 1), [GgufType.I16] = (1, 2),
        [GgufType.I32] = (1, 4), [GgufType.I64] = (1, 8), [GgufType.F64] = (1, 8), [GgufType.IQ1_M] = (256, 56),
        [GgufType.BF16] = (1, 2), [GgufType.TQ1_0] = (256, 54), [GgufType.TQ2_0] = (256, 66), [GgufType.MXFP4] = (32, 17),
    };

    /// <summary>How many values are stored together; the innermost size is a multiple of it.</summary>
    public static int BlockValues(this GgufType type) => s_blocks[type].Values;

    /// <summary>How many bytes a block takes.</summary>
    public static int BlockBytes(this GgufType type) => s_blocks[type].Bytes;

    /// <summary>The type that tensors of Tessera have for it; null where they have none.</summary>
    public static ElementType? Element(this GgufType type) => type switch
    {
        GgufType.F32 => ElementType.F32,
        GgufType.F16 => ElementType.F16,
        GgufType.BF16 => ElementType.BF16,
        GgufType.I32 => ElementType.I32,
        GgufType.Q8_0 => ElementType.Q8_0,
        GgufType.Q4_0 => ElementType.Q4_0,
        GgufType.Q4_K => ElementType.Q4_K,
        GgufType.Q6_K => ElementType.Q6_K,
        GgufType.MXFP4 => ElementType.MXFP4,
        GgufType.Q4_1 => ElementType.Q4_1,
        GgufType.Q5_0 => ElementType.Q5_0,
        GgufType.Q5_1 => ElementType.Q5_1,
        GgufType.Q5_K => ElementType.Q5_K,
        GgufType.Q2_K => ElementType.Q2_K,
        GgufType.Q3_K => ElementType.Q3_K,
        GgufType.IQ4_NL => ElementType.IQ4_NL,
        GgufType.IQ4_XS => ElementType.IQ4_XS,
        _ => null,
    };

    /// <summary>The type of a file for one of Tessera's.</summary>
    public static GgufType Of(ElementType type) => Enum.Parse<GgufType>(type.ToString()); // they are named alike

    /// <summary>Whether the number is that of a type.</summary>
    public static bool IsKnown(this GgufType type) => s_blocks.ContainsKey(type);
}
