using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>Rounding in double precision, which shares nothing with the product's.</summary>
internal static class Rounding
{
    /// <summary>What a product of the kind makes of a factor.</summary>
    public static double To(MatrixProductKind kind, float value) => kind switch
    {
        MatrixProductKind.Bf16 => Bf16(value),
        MatrixProductKind.F16 => (double)(Half)value,
        _ => value,
    };

    /// <summary>To nearest even with 8 significant bits, for normal numbers.</summary>
    private static double Bf16(float value)
    {
        if (value == 0 || !float.IsFinite(value)) return value;
        var unit = Math.ILogB(value) - 7;
        return (float)Math.ScaleB(Math.Round(Math.ScaleB((double)value, -unit)), unit);
    }
}
