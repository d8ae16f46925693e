using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// A vector of <see cref="Count"/> floats. Kernels are written once over this and compiled for each width; structs make
/// the calls vanish.
/// </summary>
internal unsafe partial interface ILanes<TSelf> where TSelf : struct, ILanes<TSelf>
{
    static abstract int Count { get; }

    static abstract TSelf Zero { get; }

    static abstract TSelf All(float value);

    static abstract TSelf Load(float* from);

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf left, TSelf right);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator /(TSelf left, TSelf right);

    /// <summary>left × right + addend, rounded once where the processor can.</summary>
    static abstract TSelf MultiplyAdd(TSelf left, TSelf right, TSelf addend);

    /// <summary>Whether there is an instruction for <see cref="MultiplyAdd(TSelf, TSelf, byte, TSelf)"/>.</summary>
    static virtual bool MultipliesByLane => false;

    /// <summary>left × one lane of right + addend, rounded once; where <see cref="MultipliesByLane"/>.</summary>
    static virtual TSelf MultiplyAdd(TSelf left, TSelf right, [ConstantExpected(Max = (byte)3)] byte lane, TSelf addend) =>
        throw new PlatformNotSupportedException();

    static abstract TSelf Max(TSelf left, TSelf right);

    static abstract TSelf Abs(TSelf value);

    /// <summary>−1, 0 or 1; NaN stays NaN.</summary>
    static abstract TSelf Sign(TSelf value);

    static abstract TSelf Sqrt(TSelf value);

    /// <summary>left where it is greater, else right; one instruction, unlike <see cref="Max"/>.</summary>
    static abstract TSelf Larger(TSelf left, TSelf right);

    /// <summary>2 to the power of values up to 127, to about one unit in the last place; exactly 0 from −127 down.</summary>
    static virtual TSelf Exp2(TSelf value) => Exponential.Exp2(value);

    /// <summary>2ⁿ, where <paramref name="shifted"/> is n + <see cref="Exponential.Shift"/>, for n from −126 to 127; 0 for −127. Of what
    /// is not a number it makes some number.</summary>
    static abstract TSelf PowerOfTwo(TSelf shifted);

    /// <summary>Lane n of <paramref name="yes"/> where bit n is set, else of <paramref name="no"/>.</summary>
    static abstract TSelf Where(uint bits, TSelf yes, TSelf no);

    /// <summary>The value kept between two bounds; NaN stays NaN.</summary>
    static abstract TSelf Clamp(TSelf value, TSelf low, TSelf high);

    void Store(float* to);

    float Sum();

    float Greatest();
}

/// <summary>16 floats.</summary>
internal readonly unsafe partial struct Lanes512(Vector512<float> value) : ILanes<Lanes512>
{
    private readonly Vector512<float> _value = value;

    public static int Count => 16;

    public static Lanes512 Zero { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => new(Vector512<float>.Zero); }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 All(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Load(float* from) => new(Vector512.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator +(Lanes512 left, Lanes512 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator -(Lanes512 left, Lanes512 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator *(Lanes512 left, Lanes512 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 operator /(Lanes512 left, Lanes512 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 MultiplyAdd(Lanes512 left, Lanes512 right, Lanes512 addend) =>
        new(Vector512.FusedMultiplyAdd(left._value, right._value, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Max(Lanes512 left, Lanes512 right) => new(Vector512.Max(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Abs(Lanes512 value) => new(Vector512.Abs(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Sign(Lanes512 value) => new(Vector512.ConditionalSelect(
        Vector512.Equals(value._value, Vector512<float>.Zero) | ~Vector512.Equals(value._value, value._value),
        value._value,
        Vector512.CopySign(Vector512<float>.One, value._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Sqrt(Lanes512 value) => new(Vector512.Sqrt(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Larger(Lanes512 left, Lanes512 right) => new(Vector512.MaxNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 PowerOfTwo(Lanes512 shifted) => new((shifted._value.AsInt32() << Exponential.MantissaBits).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Where(uint bits, Lanes512 yes, Lanes512 no)
    {
        var lanes = Vector512.Create(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768);
        return new(
            Vector512.ConditionalSelect(Vector512.Equals(Vector512.Create((int)bits) & lanes, lanes).AsSingle(), yes._value, no._value));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Clamp(Lanes512 value, Lanes512 low, Lanes512 high) =>
        new(Vector512.MinNative(high._value, Vector512.MaxNative(low._value, value._value))); // x86 hands on a NaN in the second operand

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => _value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Sum() => Vector512.Sum(_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Greatest() =>
        new Lanes128(Vector128.Max(
            Vector128.Max(_value.GetLower().GetLower(), _value.GetLower().GetUpper()),
            Vector128.Max(_value.GetUpper().GetLower(), _value.GetUpper().GetUpper()))).Greatest();
}

/// <summary>8 floats.</summary>
internal readonly unsafe partial struct Lanes256(Vector256<float> value) : ILanes<Lanes256>
{
    private readonly Vector256<float> _value = value;

    public static int Count => 8;

    public static Lanes256 Zero { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => new(Vector256<float>.Zero); }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 All(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Load(float* from) => new(Vector256.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator +(Lanes256 left, Lanes256 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator -(Lanes256 left, Lanes256 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator *(Lanes256 left, Lanes256 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator /(Lanes256 left, Lanes256 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 MultiplyAdd(Lanes256 left, Lanes256 right, Lanes256 addend) =>
        new(Vector256.FusedMultiplyAdd(left._value, right._value, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Max(Lanes256 left, Lanes256 right) => new(Vector256.Max(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Abs(Lanes256 value) => new(Vector256.Abs(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Sign(Lanes256 value) => new(Vector256.ConditionalSelect(
        Vector256.Equals(value._value, Vector256<float>.Zero) | ~Vector256.Equals(value._value, value._value),
        value._value,
        Vector256.CopySign(Vector256<float>.One, value._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Sqrt(Lanes256 value) => new(Vector256.Sqrt(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Larger(Lanes256 left, Lanes256 right) => new(Vector256.MaxNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 PowerOfTwo(Lanes256 shifted) => new((shifted._value.AsInt32() << Exponential.MantissaBits).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Where(uint bits, Lanes256 yes, Lanes256 no)
    {
        var lanes = Vector256.Create(1, 2, 4, 8, 16, 32, 64, 128);
        return new(
            Vector256.ConditionalSelect(Vector256.Equals(Vector256.Create((int)bits) & lanes, lanes).AsSingle(), yes._value, no._value));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Clamp(Lanes256 value, Lanes256 low, Lanes256 high) =>
        new(Vector256.MinNative(high._value, Vector256.MaxNative(low._value, value._value))); // x86 hands on a NaN in the second operand

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => _value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Sum() => Vector256.Sum(_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Greatest() => new Lanes128(Vector128.Max(_value.GetLower(), _value.GetUpper())).Greatest();
}

/// <summary>4 floats.</summary>
internal readonly unsafe partial struct Lanes128(Vector128<float> value) : ILanes<Lanes128>
{
    private readonly Vector128<float> _value = value;

    public static int Count => 4;

    public static Lanes128 Zero { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => new(Vector128<float>.Zero); }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 All(float value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Load(float* from) => new(Vector128.Load(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator +(Lanes128 left, Lanes128 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator -(Lanes128 left, Lanes128 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator *(Lanes128 left, Lanes128 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator /(Lanes128 left, Lanes128 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 MultiplyAdd(Lanes128 left, Lanes128 right, Lanes128 addend) =>
        new(Vector128.FusedMultiplyAdd(left._value, right._value, addend._value));

    public static bool MultipliesByLane
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)] get => AdvSimd.Arm64.IsSupported;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 MultiplyAdd(Lanes128 left, Lanes128 right, [ConstantExpected(Max = (byte)3)] byte lane, Lanes128 addend) =>
        new(AdvSimd.Arm64.FusedMultiplyAddBySelectedScalar(addend._value, left._value, right._value, lane));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Max(Lanes128 left, Lanes128 right) => new(Vector128.Max(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Abs(Lanes128 value) => new(Vector128.Abs(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Sign(Lanes128 value) => new(Vector128.ConditionalSelect(
        Vector128.Equals(value._value, Vector128<float>.Zero) | ~Vector128.Equals(value._value, value._value),
        value._value,
        Vector128.CopySign(Vector128<float>.One, value._value)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Sqrt(Lanes128 value) => new(Vector128.Sqrt(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Larger(Lanes128 left, Lanes128 right) => new(Vector128.MaxNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 PowerOfTwo(Lanes128 shifted) => new((shifted._value.AsInt32() << Exponential.MantissaBits).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Where(uint bits, Lanes128 yes, Lanes128 no)
    {
        var lanes = Vector128.Create(1, 2, 4, 8);
        return new(
            Vector128.ConditionalSelect(Vector128.Equals(Vector128.Create((int)bits) & lanes, lanes).AsSingle(), yes._value, no._value));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Clamp(Lanes128 value, Lanes128 low, Lanes128 high) =>
        new(Vector128.MinNative(high._value, Vector128.MaxNative(low._value, value._value))); // x86 hands on a NaN in the second operand

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* to) => _value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Sum() => Vector128.Sum(_value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Greatest() => MathF.Max(MathF.Max(_value[0], _value[1]), MathF.Max(_value[2], _value[3]));
}

/// <summary>One float: what a processor without vectors uses, and the tails of rows.</summary>
internal readonly unsafe partial struct Lanes1(float value) : ILanes<Lanes1>
{
    private readonly float _value = value;

    public static int Count => 1;

    public static Lanes1 Zero => default;

    public static Lanes1 All(float value) => new(value);

    public static Lanes1 Load(float* from) => new(*from);

    public static Lanes1 operator +(Lanes1 left, Lanes1 right) => new(left._value + right._value);

    public static Lanes1 operator -(Lanes1 left, Lanes1 right) => new(left._value - right._value);

    public static Lanes1 operator *(Lanes1 left, Lanes1 right) => new(left._value * right._value);

    public static Lanes1 operator /(Lanes1 left, Lanes1 right) => new(left._value / right._value);

    public static Lanes1 MultiplyAdd(Lanes1 left, Lanes1 right, Lanes1 addend) =>
        new(MathF.FusedMultiplyAdd(left._value, right._value, addend._value));

    public static Lanes1 Max(Lanes1 left, Lanes1 right) => new(MathF.Max(left._value, right._value));

    public static Lanes1 Abs(Lanes1 value) => new(MathF.Abs(value._value));

    public static Lanes1 Sign(Lanes1 value) =>
        new(float.IsNaN(value._value) || value._value == 0 ? value._value : MathF.CopySign(1, value._value));

    public static Lanes1 Sqrt(Lanes1 value) => new(MathF.Sqrt(value._value));

    public static Lanes1 Larger(Lanes1 left, Lanes1 right) => left._value > right._value ? left : right;

    public static Lanes1 PowerOfTwo(Lanes1 shifted) =>
        new(BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(shifted._value) << Exponential.MantissaBits));

    public static Lanes1 Where(uint bits, Lanes1 yes, Lanes1 no) => (bits & 1) != 0 ? yes : no;

    public static Lanes1 Clamp(Lanes1 value, Lanes1 low, Lanes1 high) => new(MathF.Min(high._value, MathF.Max(low._value, value._value)));

    public void Store(float* to) => *to = _value;

    public float Sum() => _value;

    public float Greatest() => _value;
}
