using System.Runtime.CompilerServices;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Kernels;

/// <summary>Parallel work whose parts are vectorised: written once, compiled for each vector width.</summary>
internal interface IVectorWork
{
    void Run<V>(int part) where V : struct, ILanes<V>;
}

/// <summary>The vector width chosen at start, and how work is run at that width by the thread team.</summary>
internal static unsafe class Simd
{
    private static readonly ProcessorFeatures s_features = ProcessorFeatures.Detect();

    private static readonly (KernelLevel Level, string WhyNotHigher) s_highest = s_features.Highest;

    /// <summary>The level in use: the best there is here, or what <c>TESSERA_KERNELS</c> names.</summary>
    /// <exception cref="TypeInitializationException"><c>TESSERA_KERNELS</c> is no level, or one that cannot be used here; the inner
    /// exception says so.</exception>
    public static KernelLevel Level { get; } =
        KernelLevels.Choose(Environment.GetEnvironmentVariable("TESSERA_KERNELS"), s_features);

    /// <summary>Whether kernels of the level in use should multiply BF16 numbers by <c>vdpbf16ps</c> rather than in F32 lanes: at
    /// <see cref="KernelLevel.Avx512Bf16"/> always, with tiles (AMX) where it is the faster of the two.</summary>
    public static bool Bf16DotsPay => Level == KernelLevel.Avx512Bf16 || (Level > KernelLevel.Avx512Bf16 && s_features.Bf16DotsPay);

    /// <summary>The highest level that this processor has and the system allows.</summary>
    public static KernelLevel Highest => s_highest.Level;

    /// <summary>Why <see cref="Highest"/> is not the level above it; empty where there is none.</summary>
    public static string WhyNotHigher => s_highest.WhyNotHigher;

    /// <summary>The level in use where <c>TESSERA_KERNELS</c> names none, and why it is not the level above it.</summary>
    public static (KernelLevel Level, string WhyNotHigher) Best => s_features.Best;

    /// <summary>What this processor has of what levels need, in the names of the levels.</summary>
    public static IReadOnlyList<string> Features => s_features.Names;

    /// <summary>Why a level cannot be used on this machine; null where it can.</summary>
    public static string? WhyNot(KernelLevel level) => s_features.WhyNot(level);

    /// <summary>How many threads kernels use.</summary>
    public static int Threads => ThreadTeam.Shared.Threads;

    /// <summary>Runs all parts of the work and returns when they are done.</summary>
    public static void Run<TWork>(ref TWork work, int parts) where TWork : struct, IVectorWork, allows ref struct
    {
        var pointer = Unsafe.AsPointer(ref work);
        switch (Level)
        {
            case >= KernelLevel.Vector512: Run<TWork, Lanes512>(pointer, parts); break;
            case KernelLevel.Vector256: Run<TWork, Lanes256>(pointer, parts); break;
            case KernelLevel.Vector128: Run<TWork, Lanes128>(pointer, parts); break;
            default: Run<TWork, Lanes1>(pointer, parts); break;
        }
    }

    /// <summary>What runs a part of a work at the level in use.</summary>
    public static delegate*<void*, int, void> PartOf<TWork>() where TWork : unmanaged, IVectorWork => Level switch
    {
        >= KernelLevel.Vector512 => &RunPart<TWork, Lanes512>,
        KernelLevel.Vector256 => &RunPart<TWork, Lanes256>,
        KernelLevel.Vector128 => &RunPart<TWork, Lanes128>,
        _ => &RunPart<TWork, Lanes1>,
    };

    /// <summary>How many parts to cut <paramref name="items"/> into so that each is worth a thread's while.</summary>
    /// <param name="items">Rows or elements that can be done independently.</param>
    /// <param name="costEach">What one item costs, in floats touched.</param>
    public static int Parts(long items, long costEach)
    {
        KernelProfile.Note(0, (double)items * costEach * sizeof(float), isEstimate: true);
        return (int)Math.Clamp(items * costEach / 16384, 1, Math.Min(items, 4L * Threads) is var max && max < 1 ? 1 : max);
    }

    /// <summary>The items of one part when <paramref name="items"/> are cut into <paramref name="parts"/>.</summary>
    public static (int Start, int End) Share(int items, int parts, int part) =>
        ((int)((long)items * part / parts), (int)((long)items * (part + 1) / parts));

    private static void RunPart<TWork, V>(void* work, int part) where TWork : unmanaged, IVectorWork where V : struct, ILanes<V> =>
        ((TWork*)work)->Run<V>(part);

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
