using System.Globalization;
using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>What a processor has for products of BF16 numbers; targets differ by it.</summary>
internal enum MachineKind
{
    /// <summary>Neither: no targets for BF16 are set.</summary>
    Plain,

    /// <summary>512-bit dot products of BF16 numbers.</summary>
    Avx512Bf16,

    /// <summary>Tiles of BF16 numbers.</summary>
    Amx,
}

/// <summary>The machine that a table was measured on.</summary>
internal static class Machine
{
    private const string ProcessorInfo = "/proc/cpuinfo";

    public static MachineKind Kind { get; } =
        Flags().Contains("amx_bf16") ? MachineKind.Amx : Flags().Contains("avx512_bf16") ? MachineKind.Avx512Bf16 : MachineKind.Plain;

    /// <summary>The column of the targets' table that counts here, in words.</summary>
    public static string KindName => Kind switch
    {
        MachineKind.Amx => "with AMX",
        MachineKind.Avx512Bf16 => "AVX-512 BF16, no AMX",
        _ => "neither AMX nor AVX-512 BF16",
    };

    /// <summary>What a reader needs to compare numbers: a name and a value each.</summary>
    public static IEnumerable<(string Name, string Value)> Facts(string python)
    {
        yield return ("processor", $"{ProcessorName()}, {Environment.ProcessorCount} processors, {Caches()}; {KindName}");
        yield return ("memory", $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1 << 30):F0} GiB");
        yield return ("system", $"{RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.ProcessArchitecture}");
        yield return ("kernels", $"{Processor.Level}{Highest()}, {Processor.Threads} threads on each side");
        yield return (".NET", Environment.Version.ToString());
        yield return ("PyTorch", python);
        yield return ("date", $"{DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)} UTC{Load()}");
    }

    private static string Highest() =>
        Processor.Level == Processor.BestLevel ? "" : $" (the best here is {Processor.BestLevel})";

    private static string ProcessorName() => Entry("model name") ?? RuntimeInformation.ProcessArchitecture.ToString();

    private static HashSet<string> Flags() => [.. (Entry("flags") ?? "").Split(' ')];

    private static string? Entry(string key) => !File.Exists(ProcessorInfo) ? null : File.ReadLines(ProcessorInfo)
        .FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal))?.Split(':', 2)[1].Trim();

    private static string Caches()
    {
        const string Folder = "/sys/devices/system/cpu/cpu0/cache";
        if (!Directory.Exists(Folder)) return "caches unknown";
        var caches =
            from cache in Directory.GetDirectories(Folder, "index*")
            where Read(cache, "type") != "Instruction"
            orderby Read(cache, "level")
            select $"L{Read(cache, "level")} {Read(cache, "size")}";
        return string.Join(", ", caches);

        static string Read(string cache, string name) => File.ReadAllText(Path.Combine(cache, name)).Trim();
    }

    /// <summary>How busy the machine was, since numbers of a busy one mean little.</summary>
    private static string Load() =>
        File.Exists("/proc/loadavg") ? $", load average before the run {File.ReadAllText("/proc/loadavg").Split(' ')[0]}" : "";
}
