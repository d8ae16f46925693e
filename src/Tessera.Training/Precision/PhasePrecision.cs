using Tessera.Tensors;

namespace Tessera.Training.Precision;

/// <summary>In which numbers a phase computes its products; weights, gradients and the optimizer are F32 in all.</summary>
public enum PhasePrecision
{
    /// <summary>BF16 where this machine's kernels gain from it (levels avx512-bf16 and amx), else F32: also on processors that have BF16
    /// dot products but do F32 faster, where the level is below those. A run writes down which it was and stays with it.</summary>
    Auto,

    /// <summary>IEEE binary32.</summary>
    F32,

    /// <summary>Weights, activations and gradients are rounded to bfloat16 where they are multiplied, sums are F32, and the
    /// optimizer changes F32 master weights. Kernels that gain nothing from BF16 (levels below avx512-bf16) round nothing and compute in
    /// F32; training says so, and <c>machine.json</c> does.</summary>
    BF16,

    /// <summary>As <see cref="BF16"/> with IEEE binary16, under a loss scale that keeps small gradients from vanishing.</summary>
    F16,
}

/// <summary>What <see cref="PhasePrecision"/> comes to on this machine.</summary>
public static class PhasePrecisions
{
    /// <summary>The numbers that this machine's kernels gain from.</summary>
    public static PhasePrecision Best => Processor.GainsFromBf16 ? PhasePrecision.BF16 : PhasePrecision.F32;

    /// <summary><see cref="PhasePrecision.Auto"/> decided for this machine.</summary>
    public static PhasePrecision Decided(this PhasePrecision precision) => precision == PhasePrecision.Auto ? Best : precision;

    /// <summary>The numbers in which this machine's kernels compute it: F32 for BF16 where they gain nothing from it.</summary>
    public static PhasePrecision ComputedIn(this PhasePrecision precision) =>
        precision.Decided() is var decided && decided == PhasePrecision.BF16 && !Processor.GainsFromBf16 ? PhasePrecision.F32 : decided;

    /// <summary>The precision of the operations' scope.</summary>
    public static Tensors.Precision OfOperations(this PhasePrecision precision) => precision.Decided() switch
    {
        PhasePrecision.F16 => Tensors.Precision.F16,
        PhasePrecision.BF16 => Tensors.Precision.BF16,
        _ => Tensors.Precision.F32,
    };

    /// <summary>The name in recipes.</summary>
    public static string Name(this PhasePrecision precision) => precision.ToString().ToLowerInvariant();

    /// <summary>The precisions of phases for people: <c>bf16 (computed in f32), then f32</c>.</summary>
    /// <param name="precision">What was asked for, by name.</param>
    /// <param name="computedIn">What the kernels compute in.</param>
    public static string Describe(IReadOnlyList<string> precision, IReadOnlyList<string> computedIn) => string.Join(", then ",
        precision.Zip(computedIn, (asked, used) => asked == used ? asked : $"{asked} (computed in {used}: {asked} is no faster here)"));
}
