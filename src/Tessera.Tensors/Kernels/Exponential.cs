using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Powers, the sigmoid and the hyperbolic tangent of lanes, within 3·10⁻⁷ of the exact value relative to it, for any argument:
/// each goes to its limit, and NaN stays NaN.
/// </summary>
internal static class Exponential
{
    /// <summary>Bits of the mantissa of an F32 number.</summary>
    public const int MantissaBits = 23;

    /// <summary>Added to a small number it rounds it to a whole one, n; in the lowest bits then stands n + 127, the exponent of
    /// 2ⁿ.</summary>
    public const float Shift = (1.5f * (1 << MantissaBits)) + 127;

    /// <summary>eˣ, the square of e to the half of x, whose exponent always fits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Exp<V>(V x) where V : struct, ILanes<V>
    {
        var (power, lessOne) = Split(V.Clamp(x * V.All(0.5f), V.All(-60), V.All(60)));
        var root = V.MultiplyAdd(power, lessOne, power);
        return root * root;
    }

    /// <summary><c>1 / (1 + e⁻ˣ)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Sigmoid<V>(V x) where V : struct, ILanes<V> => V.All(1) / (V.All(1) + Exp(V.Zero - x));

    /// <summary><c>(e²ˣ − 1) / (e²ˣ + 1)</c>, written with <c>e²ˣ − 1</c> alone so that small arguments lose nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Tanh<V>(V x) where V : struct, ILanes<V>
    {
        var limited = V.Clamp(x, V.All(-10), V.All(10));
        var (power, lessOne) = Split(limited + limited);
        var expLessOne = V.MultiplyAdd(power, lessOne, power - V.All(1));
        return expLessOne / (expLessOne + V.All(2));
    }

    /// <summary>2ˣ for x up to 127: <c>x = n + r</c> with n whole and |r| ≤ ½, 2ʳ by a polynomial of least relative error, times 2ⁿ,
    /// which is exactly 0 for n = −127.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Exp2<V>(V value) where V : struct, ILanes<V>
    {
        var x = V.Larger(V.All(-127), value);
        var shifted = x + V.All(Shift);
        var r = x - (shifted - V.All(Shift));
        var p = V.MultiplyAdd(V.All(0.00015353361959569156f), r, V.All(0.0013398875016719103f));
        p = V.MultiplyAdd(p, r, V.All(0.00961843691766262f));
        p = V.MultiplyAdd(p, r, V.All(0.055503323674201965f));
        p = V.MultiplyAdd(p, r, V.All(0.24022647738456726f));
        p = V.MultiplyAdd(p, r, V.All(0.6931471824645996f));
        return V.MultiplyAdd(p, r, V.All(1)) * V.PowerOfTwo(shifted);
    }

    /// <summary>2ⁿ and r with <c>eˣ = 2ⁿ (1 + r)</c>: <c>x = n ln 2 + y</c> with |y| at most half of ln 2, and
    /// <c>r = eʸ − 1</c> by its series to y⁷, whose error is below 10⁻⁸.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (V Power, V LessOne) Split<V>(V x) where V : struct, ILanes<V>
    {
        const float LnTwoHigh = 0.693359375f; // few enough bits that n times it is exact
        const float LnTwoLow = -2.12194440e-4f;
        var shifted = V.MultiplyAdd(x, V.All(1.44269504f), V.All(Shift));
        var n = shifted - V.All(Shift);
        var y = V.MultiplyAdd(n, V.All(-LnTwoLow), V.MultiplyAdd(n, V.All(-LnTwoHigh), x));

        var series = V.All(1f / 5040);
        series = V.MultiplyAdd(series, y, V.All(1f / 720));
        series = V.MultiplyAdd(series, y, V.All(1f / 120));
        series = V.MultiplyAdd(series, y, V.All(1f / 24));
        series = V.MultiplyAdd(series, y, V.All(1f / 6));
        series = V.MultiplyAdd(series, y, V.All(1f / 2));
        return (V.PowerOfTwo(shifted), V.MultiplyAdd(series, y * y, y));
    }
}
