using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>What the processor and the system offer beyond .NET's own vectors, and the highest level that follows from it.</summary>
internal readonly record struct ProcessorFeatures
{
    /// <summary>The widest of .NET's vectors: <see cref="KernelLevel.Vector512"/> at most.</summary>
    public required KernelLevel Vectors { get; init; }

    /// <summary>AVX-512 VNNI: <c>vpdpbusd</c>.</summary>
    public bool Vnni { get; init; }

    /// <summary>AVX-512 BF16: <c>vdpbf16ps</c>.</summary>
    public bool Bf16 { get; init; }

    /// <summary>AMX-TILE, AMX-BF16 and AMX-INT8.</summary>
    public bool Amx { get; init; }

    /// <summary>Whether <c>vdpbf16ps</c> does more than F32 multiplications (<see cref="Bf16Rate"/>); measured only where it
    /// can be used.</summary>
    public bool Bf16DotsPay { get; init; }

    /// <summary>Why the system runs no code that is assembled at run time, or null where it does.</summary>
    public string? PagesRefused { get; init; }

    /// <summary>Why the system does not keep the state of tiles, or null where it does (asked only where the processor has them).</summary>
    public string? TilesRefused { get; init; }

    /// <summary>The highest level, and why it is not the next one (empty at the top).</summary>
    public (KernelLevel Level, string WhyNotHigher) Highest
    {
        get
        {
            var level = KernelLevel.Scalar;
            while (level < KernelLevel.Amx && WhyNot(level + 1) is null) level++;
            return (level, level < KernelLevel.Amx ? WhyNot(level + 1)! : "");
        }
    }

    /// <summary>The level to use where none is asked for: the highest, but for one whose only gain is BF16 dot products that gain
    /// nothing; and why it is not the next one.</summary>
    public (KernelLevel Level, string WhyNotHigher) Best => Highest is (KernelLevel.Avx512Bf16, _) && !Bf16DotsPay
        ? (KernelLevel.Avx512Vnni, "this processor's BF16 dot products do less than its F32 multiplications")
        : Highest;

    /// <summary>Why a level cannot be used; null where it can.</summary>
    public string? WhyNot(KernelLevel level) => level switch
    {
        <= KernelLevel.Vector512 => level <= Vectors ? null : $".NET offers no {level.Name()} here",
        _ when Vectors < KernelLevel.Vector512 => WhyNot(KernelLevel.Vector512),
        KernelLevel.Avx512Vnni => Vnni ? PagesRefused : Lacks("AVX-512 VNNI"),
        KernelLevel.Avx512Bf16 => Bf16 ? WhyNot(KernelLevel.Avx512Vnni) : Lacks("AVX-512 BF16"),
        _ => Amx ? WhyNot(KernelLevel.Avx512Bf16) ?? TilesRefused : Lacks("AMX"),
    };

    /// <summary>What there is of what levels need, in the names of the levels; whether the system lets it be used is another
    /// matter.</summary>
    public IReadOnlyList<string> Names
    {
        get
        {
            var names = new List<string>();
            for (var level = KernelLevel.Vector128; level <= Vectors; level++) names.Add(level.Name());
            if (Vnni) names.Add(KernelLevel.Avx512Vnni.Name());
            if (Bf16) names.Add(KernelLevel.Avx512Bf16.Name());
            if (Amx) names.Add(KernelLevel.Amx.Name());
            return names;
        }
    }

    private static string Lacks(string what) => $"this processor has no {what}";

    /// <summary>The features of this machine; asks the system for executable pages and for tiles where the processor could use
    /// them.</summary>
    public static ProcessorFeatures Detect()
    {
        var vectors = Vector512.IsHardwareAccelerated ? KernelLevel.Vector512
            : Vector256.IsHardwareAccelerated ? KernelLevel.Vector256
            : Vector128.IsHardwareAccelerated ? KernelLevel.Vector128
            : KernelLevel.Scalar;
        if (!X86Base.X64.IsSupported) return new ProcessorFeatures { Vectors = vectors };
        var features = Of(vectors, X86Base.CpuId);
        if (!features.Vnni) return features;
        var refused = ExecutablePages.WhyRefused();
        return features with
        {
            PagesRefused = refused,
            TilesRefused = features.Amx ? ExecutablePages.WhyTilesRefused() : null,
            Bf16DotsPay = features.Bf16 && refused is null && Bf16Rate.DotsPay(),
        };
    }

    /// <summary>What a processor says of itself, before the system is asked; of one that does not answer, nothing is assumed.</summary>
    /// <param name="vectors">The widest of .NET's vectors there.</param>
    /// <param name="ask">CPUID: from a leaf and a subleaf to eax, ebx, ecx, edx (Intel's manual, volume 2A).</param>
    internal static ProcessorFeatures Of(KernelLevel vectors, Func<int, int, (int Eax, int Ebx, int Ecx, int Edx)> ask)
    {
        const int Extended = 7;
        var none = new ProcessorFeatures { Vectors = vectors };
        if (vectors < KernelLevel.Vector512 || ask(0, 0).Eax < Extended) return none;
        var (subleaves, _, ecx, edx) = ask(Extended, 0);
        var more = subleaves >= 1 ? ask(Extended, 1).Eax : 0;
        return none with { Vnni = Has(ecx, 11), Bf16 = Has(more, 5), Amx = Has(edx, 22) && Has(edx, 24) && Has(edx, 25) };
    }

    private static bool Has(int register, int bit) => (register >> bit & 1) != 0;
}
