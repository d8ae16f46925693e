using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Which instructions the kernels use.</summary>
public enum KernelLevel
{
    /// <summary>One number at a time.</summary>
    Scalar,

    /// <summary>128-bit vectors: SSE, ARM NEON.</summary>
    Vector128,

    /// <summary>256-bit vectors: AVX2 with FMA.</summary>
    Vector256,

    /// <summary>512-bit vectors: AVX-512.</summary>
    Vector512,
}

/// <summary>Parallel work whose parts are vectorised: written once, compiled for each vector width.</summary>
internal interface IVectorWork
{
    void Run<V>(int part) where V : struct, ILanes<V>;
}

/// <summary>The vector width chosen at start, and how work is run at that width by the thread team.</summary>
public static unsafe class Simd
{
    /// <summary>The level in use: the highest the processor has, or what <c>TESSERA_KERNELS</c> names.</summary>
    /// <exception cref="InvalidOperationException"><c>TESSERA_KERNELS</c> is no level, or one this processor lacks.</exception>
    public static KernelLevel Level { get; } = Choose(Environment.GetEnvironmentVariable("TESSERA_KERNELS"));

    /// <summary>The highest level this processor has.</summary>
    public static KernelLevel Highest =>
        Vector512.IsHardwareAccelerated ? KernelLevel.Vector512
        : Vector256.IsHardwareAccelerated ? KernelLevel.Vector256
        : Vector128.IsHardwareAccelerated ? KernelLevel.Vector128
        : KernelLevel.Scalar;

    /// <summary>How many threads kernels use.</summary>
    public static int Threads => ThreadTeam.Shared.Threads;

    /// <summary>Runs all parts of the work and returns when they are done.</summary>
    internal static void Run<TWork>(ref TWork work, int parts) where TWork : struct, IVectorWork, allows ref struct
    {
        var pointer = Unsafe.AsPointer(ref work);
        switch (Level)
        {
            case KernelLevel.Vector512: Run<TWork, Lanes512>(pointer, parts); break;
            case KernelLevel.Vector256: Run<TWork, Lanes256>(pointer, parts); break;
            case KernelLevel.Vector128: Run<TWork, Lanes128>(pointer, parts); break;
            default: Run<TWork, Lanes1>(pointer, parts); break;
        }
    }

    /// <summary>How many parts to cut <paramref name="items"/> into so that each is worth a thread's while.</summary>
    /// <param name="items">Rows or elements that can be done independently.</param>
    /// <param name="costEach">What one item costs, in floats touched.</param>
    internal static int Parts(long items, long costEach) =>
        (int)Math.Clamp(items * costEach / 16384, 1, Math.Min(items, 4L * Threads) is var most && most < 1 ? 1 : most);

    /// <summary>The items of one part when <paramref name="items"/> are cut into <paramref name="parts"/>.</summary>
    internal static (int Start, int End) Share(int items, int parts, int part) =>
        ((int)((long)items * part / parts), (int)((long)items * (part + 1) / parts));

    internal static KernelLevel Choose(string? wanted)
    {
        if (string.IsNullOrEmpty(wanted)) return Highest;
        var names = Enum.GetNames<KernelLevel>();
        var level = (KernelLevel)Array.FindIndex(names, name => name.Equals(wanted, StringComparison.OrdinalIgnoreCase));
        if (level < KernelLevel.Scalar)
            throw new InvalidOperationException($"TESSERA_KERNELS must be one of {string.Join(", ", names).ToLowerInvariant()}; found '{wanted}'");
        return level <= Highest
            ? level
            : throw new InvalidOperationException($"TESSERA_KERNELS asks for {wanted}, this processor has {Highest} at most");
    }

    private static void Run<TWork, V>(void* work, int parts)
        where TWork : struct, IVectorWork, allows ref struct
        where V : struct, ILanes<V>
    {
        var atWidth = new AtWidth<TWork, V>(work);
        ThreadTeam.Shared.Run(ref atWidth, parts);
    }

    private readonly struct AtWidth<TWork, V>(void* work) : IParallelWork
        where TWork : struct, IVectorWork, allows ref struct
        where V : struct, ILanes<V>
    {
        private readonly void* _work = work;

        public void Run(int part) => Unsafe.AsRef<TWork>(_work).Run<V>(part);
    }
}
