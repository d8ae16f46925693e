using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>F16: rounded to nearest, ties to even; from 65520 on infinite.</summary>
internal static unsafe class HalfFormat
{
    public static void Store(float* from, byte* to, int blocks) =>
        TensorPrimitives.ConvertToHalf(new ReadOnlySpan<float>(from, blocks), new Span<Half>(to, blocks));

    public static void Load(byte* from, float* to, int blocks) =>
        TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>(from, blocks), new Span<float>(to, blocks));
}

/// <summary>BF16: the upper half of an F32, rounded to nearest, ties to even; NaN stays NaN.</summary>
internal static unsafe class BrainFormat
{
    private const uint QuietBit = 0x40;

    public static void Store(float* from, byte* to, int blocks)
    {
        var words = (ushort*)to;
        for (var i = 0; i < blocks; i++)
        {
            var bits = BitConverter.SingleToUInt32Bits(from[i]);
            words[i] = (ushort)(float.IsNaN(from[i]) ? (bits >> 16) | QuietBit : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
        }
    }

    public static void Load(byte* from, float* to, int blocks)
    {
        var words = (ushort*)from;
        var i = 0;
        for (; i <= blocks - Vector128<ushort>.Count; i += Vector128<ushort>.Count)
        {
            var (low, high) = Vector128.Widen(Vector128.Load(words + i));
            (low << 16).AsSingle().Store(to + i);
            (high << 16).AsSingle().Store(to + i + 4);
        }

        for (; i < blocks; i++) to[i] = BitConverter.UInt32BitsToSingle((uint)words[i] << 16);
    }
}
