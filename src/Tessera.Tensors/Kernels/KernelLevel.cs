using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Kernels;

/// <summary>Which instructions the kernels use; each level has those below it as well.</summary>
internal enum KernelLevel
{
    /// <summary>One number at a time.</summary>
    Scalar,

    /// <summary>128-bit vectors: SSE, ARM NEON.</summary>
    Vector128,

    /// <summary>256-bit vectors: AVX2 with FMA.</summary>
    Vector256,

    /// <summary>512-bit vectors: AVX-512.</summary>
    Vector512,

    /// <summary>512-bit vectors with 8-bit dot products (<c>vpdpbusd</c>), assembled at run time.</summary>
    Avx512Vnni,

    /// <summary>512-bit vectors with BF16 dot products (<c>vdpbf16ps</c>), assembled at run time.</summary>
    Avx512Bf16,

    /// <summary>Tiles of BF16 and 8-bit numbers (AMX), assembled at run time.</summary>
    Amx,
}

/// <summary>Names of levels, and the choice of one.</summary>
internal static class KernelLevels
{
    private static readonly string[] s_names = ["scalar", "vector128", "vector256", "vector512", "avx512-vnni", "avx512-bf16", "amx"];

    /// <summary>The names of all levels, from the lowest on.</summary>
    public static IReadOnlyList<string> Names => s_names;

    /// <summary>The level's name, as <c>TESSERA_KERNELS</c> takes it.</summary>
    public static string Name(this KernelLevel level) => s_names[(int)level];

    /// <summary>The level of a name, in capitals or not; null where it is none.</summary>
    public static KernelLevel? Named(string name)
    {
        var place = Array.FindIndex(s_names, known => known.Equals(name, StringComparison.OrdinalIgnoreCase));
        return place < 0 ? null : (KernelLevel)place;
    }

    /// <summary>The level that <paramref name="wanted"/> names; the best where it names none.</summary>
    /// <exception cref="InvalidOperationException"><paramref name="wanted"/> is no level, or one above the highest.</exception>
    public static KernelLevel Choose(string? wanted, in ProcessorFeatures here)
    {
        if (string.IsNullOrEmpty(wanted)) return here.Best.Level;
        var (highest, whyNotHigher) = here.Highest;
        if (Named(wanted) is not { } level)
            throw new InvalidOperationException($"TESSERA_KERNELS must be one of {string.Join(", ", s_names)}; found '{wanted}'");
        if (level <= highest) return level;
        throw new InvalidOperationException(
            $"TESSERA_KERNELS asks for {level.Name()}, but {highest.Name()} is the highest here: {whyNotHigher}");
    }
}
