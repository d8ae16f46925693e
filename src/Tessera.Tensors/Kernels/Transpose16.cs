using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>Transposes 16 × 16 numbers in registers, for processors with AVX-512.</summary>
internal static unsafe class Transpose16
{
    private const int Columns = 4;

    /// <summary><c>to[k · width + lane] = from[lane · laneStride + k]</c>, widened.</summary>
    /// <param name="from">The first number of lane 0.</param>
    /// <param name="laneStride">Numbers from one lane to the next.</param>
    /// <param name="to">16 rows.</param>
    /// <param name="width">Floats from one row to the next.</param>
    public static void Run<E>(byte* from, long laneStride, float* to, int width) where E : struct, IElements
    {
        laneStride *= E.Bytes;
        Lanes<E>(from, laneStride, out var a0, out var a1, out var a2, out var a3);
        Lanes<E>(from + (4 * laneStride), laneStride, out var b0, out var b1, out var b2, out var b3);
        Lanes<E>(from + (8 * laneStride), laneStride, out var c0, out var c1, out var c2, out var c3);
        Lanes<E>(from + (12 * laneStride), laneStride, out var d0, out var d1, out var d2, out var d3);
        Store(a0, b0, c0, d0, to, width);
        Store(a1, b1, c1, d1, to + width, width);
        Store(a2, b2, c2, d2, to + (2L * width), width);
        Store(a3, b3, c3, d3, to + (3L * width), width);
    }

    /// <summary>Four lanes: quarter q of column n has column 4 q + n of each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Lanes<E>(
        byte* from, long stride, out Vector512<double> column0, out Vector512<double> column1, out Vector512<double> column2,
        out Vector512<double> column3)
        where E : struct, IElements
    {
        Vector512<float> a = Load<E>(from), b = Load<E>(from + stride), c = Load<E>(from + (2 * stride)), d = Load<E>(from + (3 * stride));
        Vector512<double> abLow = Avx512F.UnpackLow(a, b).AsDouble(), cdLow = Avx512F.UnpackLow(c, d).AsDouble();
        Vector512<double> abHigh = Avx512F.UnpackHigh(a, b).AsDouble(), cdHigh = Avx512F.UnpackHigh(c, d).AsDouble();
        (column0, column1) = (Avx512F.UnpackLow(abLow, cdLow), Avx512F.UnpackHigh(abLow, cdLow));
        (column2, column3) = (Avx512F.UnpackLow(abHigh, cdHigh), Avx512F.UnpackHigh(abHigh, cdHigh));
    }

    /// <summary>Quarter q of each becomes a row of 16, four rows after that of the quarter before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<double> a, Vector512<double> b, Vector512<double> c, Vector512<double> d, float* to, int width)
    {
        Vector512<double> abFirst = Avx512F.Shuffle4x128(a, b, 0x44), cdFirst = Avx512F.Shuffle4x128(c, d, 0x44);
        Vector512<double> abLast = Avx512F.Shuffle4x128(a, b, 0xEE), cdLast = Avx512F.Shuffle4x128(c, d, 0xEE);
        Avx512F.Shuffle4x128(abFirst, cdFirst, 0x88).AsSingle().Store(to);
        Avx512F.Shuffle4x128(abFirst, cdFirst, 0xDD).AsSingle().Store(to + ((long)Columns * width));
        Avx512F.Shuffle4x128(abLast, cdLast, 0x88).AsSingle().Store(to + (2L * Columns * width));
        Avx512F.Shuffle4x128(abLast, cdLast, 0xDD).AsSingle().Store(to + (3L * Columns * width));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Load<E>(byte* from) where E : struct, IElements =>
        Unsafe.BitCast<Lanes512, Vector512<float>>(E.Load<Lanes512>(from));
}
