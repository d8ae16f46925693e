using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Dot products of 8-bit integers on ARM64: one instruction, <c>sdot</c>, where the processor has it (ARMv8.2 with DotProd, every ARMv8.4),
/// else three. .NET offers none of ARM's BF16 instructions, so that BF16 is widened to F32 there.
/// </summary>
internal static class ArmDots
{
    /// <summary>Whether this is such a processor.</summary>
    public static bool IsSupported => AdvSimd.Arm64.IsSupported;

    /// <summary>Adds the products of each four neighbours to one sum. Two products must not leave 16 bits: one side is −127 to
    /// 127.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Add(Vector128<int> sums, Vector128<sbyte> left, Vector128<sbyte> right) =>
        Dp.IsSupported ? Dp.DotProduct(sums, left, right) : AddWidened(sums, left, right);

    /// <summary>The same without <c>sdot</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> AddWidened(Vector128<int> sums, Vector128<sbyte> left, Vector128<sbyte> right)
    {
        var low = AdvSimd.MultiplyWideningLower(left.GetLower(), right.GetLower());
        var high = AdvSimd.MultiplyWideningLower(left.GetUpper(), right.GetUpper());
        return AdvSimd.AddPairwiseWideningAndAdd(sums, AdvSimd.Arm64.AddPairwise(low, high));
    }
}
