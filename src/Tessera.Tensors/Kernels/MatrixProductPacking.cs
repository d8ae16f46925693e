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
    public static void Pack<V>(
        float* from, int laneStride, int stepStride, int lanes, int width, int steps, float* to, bool clear = true)
        where V : struct, ILanes<V>
    {
        if (laneStride == 1)
            CopySteps<V>(from, stepStride, lanes, width, steps, to);
        else
            Transpose<V>(from, laneStride, stepStride, lanes, width, steps, to);
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

    /// <summary>Lanes lie apart, usually rows of dense elements. Four at a time, so that lanes a power of two apart do not
    /// drive each other from the cache.</summary>
    private static void Transpose<V>(float* from, int laneStride, int stepStride, int lanes, int width, int steps, float* to)
        where V : struct, ILanes<V>
    {
        var fours = V.Count >= 4 && stepStride == 1 ? lanes / 4 * 4 : 0;
        for (var start = 0; start < steps; start += StepsAtOnce)
        {
            var end = Math.Min(start + StepsAtOnce, steps);
            for (var lane = 0; lane < fours; lane += 4)
            {
                var k = start;
                var source = from + ((long)lane * laneStride);
                for (; k <= end - 4; k += 4) Transpose4(source + k, laneStride, to + ((long)k * width) + lane, width);
                PackScalars(source, laneStride, 1, 4, width, k, end, to + lane);
            }

            PackScalars(from + ((long)fours * laneStride), laneStride, stepStride, lanes - fours, width, start, end, to + fours);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4(float* from, int laneStride, float* to, int width)
    {
        var a = Vector128.Load(from);
        var b = Vector128.Load(from + laneStride);
        var c = Vector128.Load(from + (2L * laneStride));
        var d = Vector128.Load(from + (3L * laneStride));
        Vector128<double> abLow = Low(a, b).AsDouble(), cdLow = Low(c, d).AsDouble();
        Vector128<double> abHigh = High(a, b).AsDouble(), cdHigh = High(c, d).AsDouble();
        Low(abLow, cdLow).AsSingle().Store(to);
        High(abLow, cdLow).AsSingle().Store(to + width);
        Low(abHigh, cdHigh).AsSingle().Store(to + (2L * width));
        High(abHigh, cdHigh).AsSingle().Store(to + (3L * width));
    }

    private static void PackScalars(
        float* from, int laneStride, int stepStride, int lanes, int width, int start, int end, float* to)
    {
        for (var lane = 0; lane < lanes; lane++)
        {
            var source = from + ((long)lane * laneStride);
            for (var k = start; k < end; k++) to[((long)k * width) + lane] = source[(long)k * stepStride];
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
