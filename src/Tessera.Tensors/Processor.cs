using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// What this machine computes with. The kernels have a level, which says what instructions they use; it is chosen when the program
/// starts: the best of those that the processor has and the system allows, or the one that the environment variable
/// <c>TESSERA_KERNELS</c> names.
/// Same seed, same level and same number of threads give the same bits.
/// <para>Reading any of it where <c>TESSERA_KERNELS</c> or <c>TESSERA_THREADS</c> is wrong throws a
/// <see cref="TypeInitializationException"/> whose inner exception says what is allowed.</para>
/// </summary>
public static class Processor
{
    /// <summary>All levels there are, from the lowest to the highest; each has the instructions of those before it as well: <c>scalar</c>,
    /// <c>vector128</c>, <c>vector256</c>, <c>vector512</c>, <c>avx512-vnni</c>, <c>avx512-bf16</c>, <c>amx</c>.</summary>
    public static IReadOnlyList<string> Levels => KernelLevels.Names;

    /// <summary>The level in use.</summary>
    public static string Level => Simd.Level.Name();

    /// <summary>The highest level that this processor has and the system allows.</summary>
    public static string HighestLevel => Simd.Highest.Name();

    /// <summary>The level that is used where <c>TESSERA_KERNELS</c> names none: the highest, but <c>avx512-vnni</c> where all that
    /// <c>avx512-bf16</c> adds are BF16 dot products slower than F32, as on Intel processors whose AMX the system does not offer.</summary>
    public static string BestLevel => Simd.Best.Level.Name();

    /// <summary>How many threads the kernels use: one a processor, or as many as <c>TESSERA_THREADS</c> says.</summary>
    public static int Threads => Simd.Threads;

    /// <summary>What this processor has of what levels need, in the names of the levels; whether the system lets it be used is another
    /// matter.</summary>
    public static IReadOnlyList<string> Features => Simd.Features;

    /// <summary>Whether the kernels multiply BF16 numbers faster than F32: at levels <c>avx512-bf16</c> and <c>amx</c>.</summary>
    public static bool GainsFromBf16 => MatrixProductKinds.HasBf16;

    /// <summary>Why a level cannot be used on this machine, such as <c>this processor has no AMX</c>; null where it can.</summary>
    /// <param name="level">One of <see cref="Levels"/>.</param>
    /// <exception cref="ArgumentException">It is none of them.</exception>
    public static string? WhyNot(string level) => KernelLevels.Named(level) is { } known
        ? Simd.WhyNot(known)
        : throw new ArgumentException($"'{level}' is no level of kernels; allowed: {string.Join(", ", Levels)}", nameof(level));

    /// <summary>As <see cref="WhyNot"/>, also of a level that can be used but is not unless <c>TESSERA_KERNELS</c> names it.</summary>
    /// <param name="level">One of <see cref="Levels"/>.</param>
    /// <exception cref="ArgumentException">It is none of them.</exception>
    public static string? WhyNotUsed(string level) =>
        WhyNot(level) ?? (KernelLevels.Named(level) > Simd.Best.Level ? Simd.Best.WhyNotHigher : null);
}
