using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Tessera.Tensors.Threading;

/// <summary>
/// Where the time of kernels goes, for <c>bench profile</c>. It is on where the switch <c>Tessera.KernelProfile</c> of
/// <see cref="AppContext"/> is set before the first kernel runs; off, it costs nothing, since a static readonly field that is false leaves
/// no code. Jobs of the thread team are counted by the type of their work, as one whole from the call to its return.
/// </summary>
internal static class KernelProfile
{
    private static readonly Dictionary<(Type, Sizes), Entry> s_entries = [];

    [ThreadStatic] private static bool s_isInside;
    [ThreadStatic] private static double s_operations, s_bytes;
    [ThreadStatic] private static Sizes s_sizes;

    /// <summary>Whether kernels are counted.</summary>
    public static bool IsOn { get; } = AppContext.TryGetSwitch("Tessera.KernelProfile", out var isOn) && isOn;

    /// <summary>What was counted since the last <see cref="Clear"/>.</summary>
    public static IReadOnlyDictionary<(Type Work, Sizes Sizes), Entry> Entries => s_entries;

    /// <summary>Forgets what was counted.</summary>
    public static void Clear() => s_entries.Clear();

    /// <summary>Says what the next job of this thread does, or what is added to it where several kernels become one job; an estimate
    /// (<paramref name="isEstimate"/>) adds nothing to what was said.</summary>
    /// <param name="operations">Multiplications and additions.</param>
    /// <param name="bytes">Bytes moved at least.</param>
    /// <param name="sizes">Of a product, which has a line for each.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Note(double operations, double bytes, Sizes sizes = default, bool isEstimate = false)
    {
        if (!IsOn || s_isInside || (isEstimate && s_operations > 0)) return;
        // What is known replaces an estimate, and is added to what is known of the job.
        s_bytes = bytes + (s_operations > 0 ? s_bytes : 0);
        (s_operations, s_sizes) = (s_operations + operations, sizes);
    }

    /// <summary>Starts counting a job, unless it is part of another one.</summary>
    public static bool TryEnter(out long start)
    {
        start = Stopwatch.GetTimestamp();
        return !s_isInside && (s_isInside = true);
    }

    /// <summary>Ends the job that <see cref="TryEnter"/> began.</summary>
    public static void Leave(Type work, long start)
    {
        var ticks = Stopwatch.GetTimestamp() - start;
        s_isInside = false;
        lock (s_entries)
        {
            var entry = s_entries.GetValueOrDefault((work, s_sizes));
            s_entries[(work, s_sizes)] = new Entry(
                entry.Calls + 1, entry.Ticks + ticks, entry.Operations + s_operations, entry.Bytes + s_bytes);
        }

        (s_operations, s_bytes, s_sizes) = (0, 0, default);
    }

    /// <summary>Of a product [m, k] by [k, n].</summary>
    public readonly record struct Sizes(int M, int N, int K);

    /// <summary>All jobs of one type: how many, ticks of <see cref="Stopwatch"/>, and what they said they do, 0 where nothing.</summary>
    public readonly record struct Entry(long Calls, long Ticks, double Operations, double Bytes);
}
