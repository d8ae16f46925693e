using System.Globalization;
using System.Runtime.InteropServices;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Peers;

/// <summary>What a processor multiplies fastest with; targets differ by it.</summary>
internal enum MachineKind
{
    /// <summary>Vectors of 256 bits or fewer.</summary>
    Plain,

    /// <summary>512-bit vectors; no dot products of BF16 numbers, or slow ones.</summary>
    Avx512,

    /// <summary>512-bit dot products of BF16 numbers that do more than F32 multiplications.</summary>
    Avx512Bf16,

    /// <summary>Tiles of BF16 numbers.</summary>
    Amx,
}

/// <summary>The machine that a table was measured on.</summary>
internal static class Machine
{
    private const string ProcessorInfo = "/proc/cpuinfo";

    /// <summary>By what kernels use here unless they are told otherwise.</summary>
    public static MachineKind Kind { get; } = Processor.BestLevel switch
    {
        "amx" => MachineKind.Amx,
        "avx512-bf16" => MachineKind.Avx512Bf16,
        "avx512-vnni" or "vector512" => MachineKind.Avx512,
        _ => MachineKind.Plain,
    };

    /// <summary>The kind, in words: the title of its table.</summary>
    public static string KindName => Kind switch
    {
        MachineKind.Amx => "With AMX",
        MachineKind.Avx512Bf16 => "AVX-512 with fast BF16 dot products",
        MachineKind.Avx512 => "AVX-512, BF16 dot products none or slow",
        _ => "No AVX-512",
    } + (Processor.Level == Processor.BestLevel ? "" : $", kernels {Processor.Level}");

    /// <summary>What a reader needs to compare numbers: a name and a value each.</summary>
    public static IEnumerable<(string Name, string Value)> Facts(string torch)
    {
        yield return ("processor", $"{ProcessorName()}{Model()}, {Environment.ProcessorCount} processors, {Caches()}");
        yield return ("instructions", $"{string.Join(", ", Processor.Features)}{Masked()}");
        yield return ("memory", $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1 << 30):F0} GiB");
        yield return ("system", $"{RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.ProcessArchitecture}");
        yield return ("kernels", $"{Processor.Level}{Best()}, {Processor.Threads} threads on each side");
        yield return (".NET", Environment.Version.ToString());
        yield return ("PyTorch", torch);
        yield return ("date", $"{DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)} UTC");
    }

    private static string Best()
    {
        if (Processor.Level != Processor.BestLevel) return $" (the best here is {Processor.BestLevel})";
        var next = Processor.Levels.SkipWhile(level => level != Processor.Level).Skip(1).FirstOrDefault();
        return next is null ? "" : $" (not {next}: {Processor.WhyNotUsed(next)})";
    }

    private static string ProcessorName() => Entry("model name") ?? RuntimeInformation.ProcessArchitecture.ToString();

    private static string Model() =>
        Entry("cpu family") is { } family ? $" (family {family}, model {Entry("model\t")}, stepping {Entry("stepping")})" : "";

    /// <summary>Sapphire Rapids, Emerald Rapids and Granite Rapids have AMX, which a virtual machine may hide.</summary>
    private static string Masked() =>
        Entry("vendor_id") == "GenuineIntel" && Entry("cpu family") == "6" && Entry("model\t") is "143" or "207" or "173" or "174"
        && !(Entry("flags") ?? "").Contains("amx_tile", StringComparison.Ordinal) ? "; the processor's AMX is masked by the system" : "";

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
}
