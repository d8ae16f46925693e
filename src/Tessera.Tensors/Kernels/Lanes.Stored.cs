using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

// What products with stored weights need of a vector width.

internal unsafe partial interface ILanes<TSelf>
{
    /// <summary>As many BF16 numbers as a vector has lanes.</summary>
    static abstract TSelf LoadBrain(ushort* from);

    /// <summary>As many F16 numbers as a vector has lanes.</summary>
    static abstract TSelf LoadHalf(ushort* from);

    /// <summary>sum + scale · Σ weights · activations over 32 elements, spread over the lanes; activations are −127 to 127.</summary>
    static abstract TSelf AddDot(Vector256<sbyte> weights, sbyte* activations, float scale, TSelf sum);

    /// <summary>As the other, with one scale for the first 16 elements and one for the last.</summary>
    static abstract TSelf AddDot(Vector256<sbyte> weights, sbyte* activations, float first, float last, TSelf sum);
}

// AVX-512BW.
internal readonly unsafe partial struct Lanes512
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 LoadBrain(ushort* from) => new((Wide(from) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 LoadHalf(ushort* from)
    {
        var bits = Wide(from);
        var magnitude = bits & Vector512.Create(0x7FFFu);
        var special = Vector512.GreaterThan(magnitude.AsInt32(), Vector512.Create(0x7BFF)).AsUInt32() & Vector512.Create(0x7F800000u);
        var value = (magnitude << 13).AsSingle() * Vector512.Create(QuantizedFormat.TwoTo112);
        return new((value.AsUInt32() | special | ((bits & Vector512.Create(0x8000u)) << 16)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 AddDot(Vector256<sbyte> weights, sbyte* activations, float scale, Lanes512 sum) =>
        Lanes512.MultiplyAdd(new(Dot(weights, activations)), Lanes512.All(scale), sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 AddDot(Vector256<sbyte> weights, sbyte* activations, float first, float last, Lanes512 sum) =>
        Lanes512.MultiplyAdd(
            new(Dot(weights, activations)), new(Vector512.Create(Vector256.Create(first), Vector256.Create(last))), sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Dot(Vector256<sbyte> weights, sbyte* activations) =>
        Vector512.ConvertToSingle(Avx512BW.MultiplyAddAdjacent(
            Avx512BW.ConvertToVector512Int16(weights), Avx512BW.ConvertToVector512Int16(Vector256.Load(activations))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Wide(ushort* from) => Avx512F.ConvertToVector512UInt32(Vector256.Load(from));
}

// AVX2, with AVX-VNNI where the processor has it.
internal readonly unsafe partial struct Lanes256
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 LoadBrain(ushort* from) => new((Wide(from) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 LoadHalf(ushort* from) => new(QuantizedFormat.Scales(Wide(from)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 AddDot(Vector256<sbyte> weights, sbyte* activations, float scale, Lanes256 sum) =>
        Lanes256.MultiplyAdd(new(Dot(weights, activations)), Lanes256.All(scale), sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 AddDot(Vector256<sbyte> weights, sbyte* activations, float first, float last, Lanes256 sum) =>
        Lanes256.MultiplyAdd(
            new(Dot(weights, activations)), new(Vector256.Create(Vector128.Create(first), Vector128.Create(last))), sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Dot(Vector256<sbyte> weights, sbyte* activations)
    {
        // The instructions want one side without sign. Two products of 128 · 127 do not reach the end of 16 bits.
        var (magnitudes, signed) = (Avx2.Abs(weights), Avx2.Sign(Vector256.Load(activations), weights));
        if (AvxVnni.IsSupported) return Vector256.ConvertToSingle(AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, magnitudes, signed));
        return Vector256.ConvertToSingle(Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(magnitudes, signed), Vector256<short>.One));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Wide(ushort* from) => Avx2.ConvertToVector256Int32(Vector128.Load(from)).AsUInt32();
}

// SSSE3, or whatever processors have.
internal readonly unsafe partial struct Lanes128
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 LoadBrain(ushort* from) => new((Wide(from) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 LoadHalf(ushort* from)
    {
        var bits = Wide(from);
        var magnitude = bits & Vector128.Create(0x7FFFu);
        var special = Vector128.GreaterThan(magnitude.AsInt32(), Vector128.Create(0x7BFF)).AsUInt32() & Vector128.Create(0x7F800000u);
        var value = (magnitude << 13).AsSingle() * Vector128.Create(QuantizedFormat.TwoTo112);
        return new((value.AsUInt32() | special | ((bits & Vector128.Create(0x8000u)) << 16)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 AddDot(Vector256<sbyte> weights, sbyte* activations, float scale, Lanes128 sum)
    {
        var dots = Dot(Vector128<int>.Zero, weights.GetLower(), Vector128.Load(activations));
        dots = Dot(dots, weights.GetUpper(), Vector128.Load(activations + 16));
        return Lanes128.MultiplyAdd(new(Vector128.ConvertToSingle(dots)), Lanes128.All(scale), sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 AddDot(Vector256<sbyte> weights, sbyte* activations, float first, float last, Lanes128 sum)
    {
        var (low, high) = (
            Dot(Vector128<int>.Zero, weights.GetLower(), Vector128.Load(activations)),
            Dot(Vector128<int>.Zero, weights.GetUpper(), Vector128.Load(activations + 16)));
        sum = Lanes128.MultiplyAdd(new(Vector128.ConvertToSingle(low)), Lanes128.All(first), sum);
        return Lanes128.MultiplyAdd(new(Vector128.ConvertToSingle(high)), Lanes128.All(last), sum);
    }

    /// <summary>Adds 16 products to four sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Dot(Vector128<int> sums, Vector128<sbyte> weights, Vector128<sbyte> activations)
    {
        if (ArmDots.IsSupported) return ArmDots.Add(sums, weights, activations);
        if (Ssse3.IsSupported)
        {
            var products = Ssse3.MultiplyAddAdjacent(Ssse3.Abs(weights), Ssse3.Sign(activations, weights));
            return sums + Sse2.MultiplyAddAdjacent(products, Vector128<short>.One);
        }

        var (weightsLow, weightsHigh) = Vector128.Widen(weights);
        var (low, high) = Vector128.Widen(activations);
        var (first, second) = Vector128.Widen(weightsLow * low);
        var (third, fourth) = Vector128.Widen(weightsHigh * high);
        return sums + first + second + (third + fourth);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Wide(ushort* from) =>
        Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(from)).AsUInt16());
}

internal readonly unsafe partial struct Lanes1
{
    public static Lanes1 LoadBrain(ushort* from) => new(BitConverter.UInt32BitsToSingle((uint)*from << 16));

    public static Lanes1 LoadHalf(ushort* from) => new((float)BitConverter.UInt16BitsToHalf(*from));

    public static Lanes1 AddDot(Vector256<sbyte> weights, sbyte* activations, float scale, Lanes1 sum) =>
        Lanes1.MultiplyAdd(new(Dot((sbyte*)&weights, activations, 32)), new(scale), sum);

    public static Lanes1 AddDot(Vector256<sbyte> weights, sbyte* activations, float first, float last, Lanes1 sum)
    {
        sum = Lanes1.MultiplyAdd(new(Dot((sbyte*)&weights, activations, 16)), new(first), sum);
        return Lanes1.MultiplyAdd(new(Dot((sbyte*)&weights + 16, activations + 16, 16)), new(last), sum);
    }

    private static int Dot(sbyte* weights, sbyte* activations, int count)
    {
        var sum = 0;
        for (var i = 0; i < count; i++) sum += weights[i] * activations[i];
        return sum;
    }
}
