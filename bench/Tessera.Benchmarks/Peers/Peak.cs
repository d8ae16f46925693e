using System.Diagnostics;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using Tessera.Tensors;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Threading;

namespace Tessera.Benchmarks.Peers;

/// <summary>
/// What this machine can do at most with as many threads as Tessera uses: multiplications and additions of loops that touch registers
/// only, a second, and bytes that a vectorised sum reads. Measured once a process.
/// </summary>
internal static unsafe class Peak
{
    private const int WorkingSet = 1 << 29, Passes = 6, Trials = 100;

    private static readonly Lazy<PeakRoutine> s_dotRoutine = new(() => PeakRoutine.Dots), s_byteRoutine = new(() => PeakRoutine.Bytes);
    private static readonly Lazy<PeakRoutine> s_tileRoutine = new(() => PeakRoutine.Tiles);
    private static readonly Lazy<NativeBuffer> s_memory = new(Ones);
    private static double s_f32, s_dots, s_bytes, s_tiles, s_bandwidth;

    /// <summary>F32 operations a second, of fused multiplications and additions of the level in use.</summary>
    public static double F32
    {
        get
        {
            if (s_f32 == 0) Look();
            return s_f32;
        }
    }

    /// <summary>BF16 operations a second: of tiles or dot products where the level has them and they are faster than F32.</summary>
    public static double Bf16 => Math.Max(F32, Simd.Level switch
    {
        KernelLevel.Amx => s_tiles,
        KernelLevel.Avx512Bf16 => s_dots,
        _ => 0,
    });

    /// <summary>Operations a second on 8-bit numbers, in 32-bit sums: of tiles, which take twice as many as in BF16, or dot
    /// products.</summary>
    public static double Bytes => Math.Max(F32, Simd.Level == KernelLevel.Amx ? 2 * s_tiles : s_bytes);

    /// <summary>Bytes a second that are read of an array larger than the caches.</summary>
    public static double Bandwidth
    {
        get
        {
            if (s_bandwidth == 0) Look();
            return s_bandwidth;
        }
    }

    private static bool HasDots => Processor.WhyNot("avx512-bf16") is null;

    public static string InWords =>
        $"{Rate(F32)} of F32 multiplications and additions"
        + (HasDots ? $", {Rate(s_dots)} of BF16 dot products" : "")
        + (Simd.Level >= KernelLevel.Avx512Vnni ? $", {Rate(s_bytes)} of 8-bit dot products" : "")
        + (Simd.Level == KernelLevel.Amx ? $", {Rate(s_tiles)} of BF16 tiles" : "")
        + $", {Report.Number(Bandwidth / 1e9)} GB/s read";

    /// <summary>Measures all once more, since other work may have been in the way; the best counts.</summary>
    public static void Look()
    {
        s_f32 = Math.Max(s_f32, Best(new Multiplications()));
        if (HasDots) s_dots = Math.Max(s_dots, Best(new Repeated(s_dotRoutine.Value)));
        if (Simd.Level >= KernelLevel.Avx512Vnni) s_bytes = Math.Max(s_bytes, Best(new Repeated(s_byteRoutine.Value)));
        if (Simd.Level == KernelLevel.Amx) s_tiles = Math.Max(s_tiles, Best(new Repeated(s_tileRoutine.Value)));
        MeasureBandwidth();
    }

    /// <summary>Operations a second that are possible with numbers of a precision.</summary>
    public static double Of(Precision precision) => precision == Precision.BF16 ? Bf16 : F32;

    /// <summary>A rate as a share of the peak: <c>0.87 of peak</c>.</summary>
    /// <param name="precision">Whose peak.</param>
    /// <param name="operations">Multiplications and additions of the work.</param>
    /// <param name="seconds">What it took.</param>
    public static string Share(Precision precision, double operations, double seconds) =>
        $"{Report.Number(operations / seconds / Of(precision))} of peak";

    /// <summary>A rate as a share of the bandwidth: <c>0.56 of bandwidth</c>.</summary>
    public static string ShareOfBandwidth(double bytesPerSecond) => $"{Report.Number(bytesPerSecond / Bandwidth)} of bandwidth";

    private static string Rate(double operations) => $"{Report.Number(operations / 1e9)} GFLOP/s";

    private static double Best<TWork>(TWork work) where TWork : struct, IVectorWork, IPeakWork
    {
        var best = double.MaxValue;
        for (var trial = 0; trial < Trials; trial++)
        {
            var start = Stopwatch.GetTimestamp();
            Simd.Run(ref work, Simd.Threads);
            if (trial > 0) best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return work.Operations * Simd.Threads / best;
    }

    /// <summary>Measures the bandwidth once more, beside what is compared with it; the best counts.</summary>
    public static void MeasureBandwidth()
    {
        var best = s_bandwidth > 0 ? WorkingSet / s_bandwidth : double.MaxValue;
        for (var trial = 0; trial < Passes; trial++)
        {
            var (work, start) = (new Sums((float*)s_memory.Value.Address), Stopwatch.GetTimestamp());
            ThreadTeam.Shared.Run(ref work, Simd.Threads);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        s_bandwidth = WorkingSet / best;
    }

    private static NativeBuffer Ones()
    {
        var memory = new NativeBuffer(WorkingSet, zeroed: false);
        new Span<float>((void*)memory.Address, WorkingSet / sizeof(float)).Fill(1); // unwritten pages would all be the same one
        return memory;
    }

    /// <summary>Vectorised work whose parts do a known number of operations each.</summary>
    private interface IPeakWork
    {
        double Operations { get; }
    }

    /// <summary>As many independent sums as hide the latency of an addition; 256-bit processors have 16 registers.</summary>
    private readonly struct Multiplications : IVectorWork, IPeakWork
    {
        private const int Rounds = 1 << 18, Sums = 12;

        public double Operations => 2.0 * Rounds * Sums * Simd.Level switch
        {
            >= KernelLevel.Vector512 => 16,
            KernelLevel.Vector256 => 8,
            KernelLevel.Vector128 => 4,
            _ => 1,
        };

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            var (x, a) = (V.All(0.5f), V.All(part));
            var (b, c, d, e, f, g) = (a, a, a, a, a, a);
            var (h, i, j, k, l) = (a, a, a, a, a);
            for (var round = 0; round < Rounds; round++)
            {
                (a, b, c) = (V.MultiplyAdd(x, x, a), V.MultiplyAdd(x, x, b), V.MultiplyAdd(x, x, c));
                (d, e, f) = (V.MultiplyAdd(x, x, d), V.MultiplyAdd(x, x, e), V.MultiplyAdd(x, x, f));
                (g, h, i) = (V.MultiplyAdd(x, x, g), V.MultiplyAdd(x, x, h), V.MultiplyAdd(x, x, i));
                (j, k, l) = (V.MultiplyAdd(x, x, j), V.MultiplyAdd(x, x, k), V.MultiplyAdd(x, x, l));
            }

            Keep(a + b + c + d + (e + f + g + h) + (i + j + k + l));
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Keep<V>(V value) => _ = value;
    }

    /// <summary>A routine assembled at run time, many times.</summary>
    private readonly struct Repeated(PeakRoutine routine) : IVectorWork, IPeakWork
    {
        private const int Calls = 50; // about a millisecond

        public double Operations => Calls * routine.Operations;

        public void Run<V>(int part) where V : struct, ILanes<V>
        {
            for (var call = 0; call < Calls; call++) routine.Run();
        }
    }

    private readonly struct Sums(float* floats) : IParallelWork
    {
        private readonly float* _floats = floats;

        public void Run(int part)
        {
            var each = WorkingSet / sizeof(float) / Simd.Threads;
            if (TensorPrimitives.Sum(new ReadOnlySpan<float>(_floats + ((long)part * each), each)) == 0)
                throw new InvalidOperationException("ones add up to zero");
        }
    }
}
