using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Tessera.Cli.Terminal;
using Tessera.Tensors.Kernels;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera info</c>.</summary>
internal static class InfoCommand
{
    public static Command Create()
    {
        var json = CommonOptions.Json();
        var command = new Command("info", CommonOptions.WithExamples(
            "Shows what this machine has and which kernels are used.", "tessera info", "TESSERA_KERNELS=vector256 tessera info")) { json };
        command.SetAction(parsed =>
        {
            var screen = new Screen(parsed.GetValue(json));
            if (screen.IsJson) screen.Json(Facts());
            else foreach (var (key, value) in Lines()) screen.Line($"{key,-13} {value}");
            return CommandRunner.Success;
        });
        return command;
    }

    private static string Version => typeof(InfoCommand).Assembly.GetName().Version?.ToString(3) ?? "?";

    private static long MemoryBytes => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>For people.</summary>
    private static (string Key, string Value)[] Lines() =>
    [
        ("tessera", Version),
        (".NET", RuntimeInformation.FrameworkDescription),
        ("system", $"{RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.ProcessArchitecture}"),
        ("processors", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture)),
        ("threads used", $"{Simd.Threads} (TESSERA_THREADS sets them)"),
        ("memory", $"{MemoryBytes / (double)(1 << 30):F1} GiB"),
        ("kernels", $"{Simd.Level.Name()}{Why()}"),
    ];

    /// <summary>The same for programs: numbers are numbers, and each level above the one in use says why it is not.</summary>
    private static object Facts() => new
    {
        Version,
        Dotnet = Environment.Version.ToString(),
        System = RuntimeInformation.OSDescription.Trim(),
        Architecture = RuntimeInformation.ProcessArchitecture.ToString(),
        Processors = Environment.ProcessorCount,
        Simd.Threads,
        MemoryBytes,
        Level = Simd.Level.Name(),
        Highest = Simd.Highest.Name(),
        WhyNot = Enum.GetValues<KernelLevel>().Where(level => level > Simd.Level)
            .ToDictionary(level => level.Name(), level => Simd.WhyNot(level) ?? $"TESSERA_KERNELS asks for {Simd.Level.Name()}"),
        Simd.Features,
    };

    private static string Why()
    {
        if (Simd.Level < Simd.Highest) return $" (set by TESSERA_KERNELS; {Simd.Highest.Name()} can be used here)";
        return Simd.WhyNotHigher == "" ? " (the highest there is)" : $" (not {(Simd.Level + 1).Name()}: {Simd.WhyNotHigher})";
    }
}
