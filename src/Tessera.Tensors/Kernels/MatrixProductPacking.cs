using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Tensors.Kernels;

/// <summary>Copies parts of matrices into the order in which the tiles of a product read them.</summary>
internal static unsafe class MatrixProductPacking
{
    /// <summary>The memory for a packed panel of a.</summary>
    public const int PanelBytes = 64 * 1024;

    /// <summary>The memory for packed strips of b.</summary>
    public const int BlockBytes = 1024 * 1024;

    /// <summary>How long a piece of a lane is transposed before the next lane: long enough to be read ahead by the processor,
    /// short enough that what is written stays in the first-level cache.</summary>
    private const int StepsAtOnce = 64;

    [ThreadStatic] private static NativeBuffer? s_buffer;

    /// <summary>The calling thread's memory for a packed panel of a, followed by that for <see cref="BlockOf">strips of b</see>.</summary>
    public static byte* Panel()
    {
        s_buffer ??= new NativeBuffer(PanelBytes + BlockBytes, zeroed: false);
        return (byte*)s_buffer.Address;
    }

    /// <summary>The memory for packed strips of b.</summary>
    public static byte* BlockOf(byte* panel) => panel + PanelBytes;

    /// <summary><c>to[k · width + lane] = from[lane · laneStride + k · stepStride]</c>; lanes from <paramref name="lanes"/>
    /// to <paramref name="width"/> become zeros where <paramref name="clear"/> says so.</summary>
    /// <typeparam name="V">The vectors of the level.</typeparam>
    /// <typeparam name="E">What is widened.</typeparam>
    public static void Pack<V, E>(
        byte* from, int laneStride, int stepStride, int lanes, int width, int steps, float* to, bool clear = true)
        where V : struct, ILanes<V>
        where E : struct, IElements
    {
        if (laneStride == 1 && typeof(E) == typeof(SingleElements))
            CopySteps<V>((float*)from, stepStride, lanes, width, steps, to);
        else
            Transpose<V, E>(from, laneStride, stepStride, lanes, width, steps, to);
        if (lanes == width || !clear) return;
        for (var k = 0; k < steps; k++) new Span<float>(to + ((long)k * width) + lanes, width - lanes).Clear();
    }

    private static void CopySteps<V>(float* from, int stepStride, int lanes, int width, int steps, float* to)
        where V : struct, ILanes<V>
    {
        for (var k = 0; k < steps; k++)
        {
            if (Sse.IsSupported)
            {
                // The next pieces are a row away each, which processors do not foresee.
                var ahead = from + (16L * stepStride);
                Sse.Prefetch0(ahead);
                Sse.Prefetch0(ahead + lanes - 1);
            }

            var lane = 0;
            for (; lane <= lanes - V.Count; lane += V.Count) V.Load(from + lane).Store(to + lane);
            if (V.Count > 4)
            {
                for (; lane <= lanes - 4; lane += 4) Vector128.Load(from + lane).Store(to + lane);
            }

            for (; lane < lanes; lane++) to[lane] = from[lane];
            from += stepStride;
            to += width;
        }
    }

    /// <summary>Lanes lie apart, usually rows of dense elements: 16 × 16 at a time in vectors of 16, each line of the cache read once, else
    /// 4 × 4. Either way no more lanes than that, so that lanes a power of two apart do not drive each other from the cache.</summary>
    private static void Transpose<V, E>(byte* from, int laneStride, int stepStride, int lanes, int width, int steps, float* to)
        where V : struct, ILanes<V>
        where E : struct, IElements
    {
        var sixteens = V.Count == 16 && Avx512F.IsSupported && stepStride == 1 ? lanes / 16 * 16 : 0;
        var fours = V.Count >= 4 && stepStride == 1 ? lanes / 4 * 4 : 0;
        for (var start = 0; start < steps; start += StepsAtOnce)
        {
            var end = Math.Min(start + StepsAtOnce, steps);
            for (int lane = 0, count; lane < fours; lane += count)
            {
                count = lane < sixteens ? 16 : 4;
                var k = start;
                var source = from + ((long)lane * laneStride * E.Bytes);
                if (count == 16)
                {
                    for (; k <= end - 16; k += 16)
                        Transpose16.Run<E>(source + (k * E.Bytes), laneStride, to + ((long)k * width) + lane, width);
                }
                else
                {
                    for (; k <= end - 4; k += 4) Transpose4<E>(source + (k * E.Bytes), laneStride, to + ((long)k * width) + lane, width);
                }

                PackScalars<E>(source, laneStride, 1, count, width, k, end, to + lane);
            }

            PackScalars<E>(
                from + ((long)fours * laneStride * E.Bytes), laneStride, stepStride, lanes - fours, width, start, end, to + fours);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4<E>(byte* from, long laneStride, float* to, int width) where E : struct, IElements
    {
        laneStride *= E.Bytes;
        var a = Four<E>(from);
        var b = Four<E>(from + laneStride);
        var c = Four<E>(from + (2 * laneStride));
        var d = Four<E>(from + (3 * laneStride));
        Vector128<double> abLow = Low(a, b).AsDouble(), cdLow = Low(c, d).AsDouble();
        Vector128<double> abHigh = High(a, b).AsDouble(), cdHigh = High(c, d).AsDouble();
        Low(abLow, cdLow).AsSingle().Store(to);
        High(abLow, cdLow).AsSingle().Store(to + width);
        Low(abHigh, cdHigh).AsSingle().Store(to + (2L * width));
        High(abHigh, cdHigh).AsSingle().Store(to + (3L * width));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Four<E>(byte* from) where E : struct, IElements =>
        Unsafe.BitCast<Lanes128, Vector128<float>>(E.Load<Lanes128>(from));

    private static void PackScalars<E>(byte* from, int laneStride, int stepStride, int lanes, int width, int start, int end, float* to)
        where E : struct, IElements
    {
        for (var lane = 0; lane < lanes; lane++)
        {
            var source = from + ((long)lane * laneStride * E.Bytes);
            for (var k = start; k < end; k++)
                E.Load<Lanes1>(source + ((long)k * stepStride * E.Bytes)).Store(to + ((long)k * width) + lane);
        }
    }

    /// <summary>left 0, right 0, left 1, right 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Low(Vector128<float> left, Vector128<float> right) =>
        Sse.IsSupported ? Sse.UnpackLow(left, right)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(left, right)
        : Vector128.Create(left[0], right[0], left[1], right[1]);

    /// <summary>left 2, right 2, left 3, right 3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> High(Vector128<float> left, Vector128<float> right) =>
        Sse.IsSupported ? Sse.UnpackHigh(left, right)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(left, right)
        : Vector128.Create(left[2], right[2], left[3], right[3]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<double> Low(Vector128<double> left, Vector128<double> right) =>
        Sse2.IsSupported ? Sse2.UnpackLow(left, right)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(left, right)
        : Vector128.Create(left[0], right[0]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<double> High(Vector128<double> left, Vector128<double> right) =>
        Sse2.IsSupported ? Sse2.UnpackHigh(left, right)
        : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(left, right)
        : Vector128.Create(left[1], right[1]);
}
