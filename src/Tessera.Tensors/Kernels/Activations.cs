using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Kernels;

/// <summary>A function of one number with its derivative.</summary>
internal interface IActivation
{
    static abstract (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>;
}

/// <summary>x σ(x).</summary>
internal readonly struct Silu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>
    {
        var sigmoid = Sigmoid.Of(x).Value;
        var value = x * sigmoid;
        return (value, sigmoid + (value * (V.All(1) - sigmoid)));
    }
}

/// <summary>1 / (1 + e⁻ˣ).</summary>
internal readonly struct Sigmoid : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>
    {
        var value = Exponential.Sigmoid(x);
        return (value, value * (V.All(1) - value));
    }
}

/// <summary>(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).</summary>
internal readonly struct Tanh : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>
    {
        var value = Exponential.Tanh(x);
        return (value, V.All(1) - (value * value));
    }
}

/// <summary>max(x, 0).</summary>
internal readonly struct Relu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>
    {
        var value = V.Max(x, V.Zero);
        return (value, V.Sign(value));
    }
}

/// <summary>max(x, 0)².</summary>
internal readonly struct ReluSquared : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>
    {
        var positive = V.Max(x, V.Zero);
        return (positive * positive, positive + positive);
    }
}

/// <summary>x Φ(x) with the normal distribution's Φ.</summary>
internal readonly struct Gelu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>
    {
        var density = Exponential.Exp(x * x * V.All(-0.5f));
        var distribution = Distribution(x, density);
        return (x * distribution, V.MultiplyAdd(x * density, V.All(0.3989422804f), distribution));
    }

    /// <summary>Φ(x) by Abramowitz and Stegun 7.1.26, whose error is below 8e-8, from e^(−x²/2).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Distribution<V>(V x, V density) where V : struct, ILanes<V>
    {
        var t = V.All(1) / V.MultiplyAdd(V.Abs(x), V.All(0.3275911f * 0.70710678f), V.All(1));
        var polynomial = V.MultiplyAdd(t, V.All(1.061405429f), V.All(-1.453152027f));
        polynomial = V.MultiplyAdd(t, polynomial, V.All(1.421413741f));
        polynomial = V.MultiplyAdd(t, polynomial, V.All(-0.284496736f));
        polynomial = V.MultiplyAdd(t, polynomial, V.All(0.254829592f));
        var half = V.All(0.5f);
        var erf = V.All(1) - (polynomial * t * density);
        return V.MultiplyAdd(half * V.Sign(x), erf, half);
    }
}

/// <summary>GELU by its tanh approximation, as GPT-2 uses it.</summary>
internal readonly struct GeluTanh : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (V Value, V Derivative) Of<V>(V x) where V : struct, ILanes<V>
    {
        const float Scale = 0.7978845608f; // sqrt(2 / pi)
        const float Cubic = 0.044715f;
        var square = x * x;
        var (tanh, slope) = Tanh.Of(x * V.MultiplyAdd(square, V.All(Scale * Cubic), V.All(Scale)));
        var inner = V.MultiplyAdd(square, V.All(3 * Scale * Cubic), V.All(Scale));
        var half = V.All(0.5f);
        var distribution = V.MultiplyAdd(half, tanh, half);
        return (x * distribution, V.MultiplyAdd(half * x * slope, inner, distribution));
    }
}
