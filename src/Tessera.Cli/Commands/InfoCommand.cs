using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Tessera.Cli.Terminal;
using Tessera.Models;
using Tessera.Models.Formats.Gguf;
using Tessera.Tensors;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera info</c>.</summary>
internal static class InfoCommand
{
    public static Command Create()
    {
        var json = CommonOptions.Json();
        var command = new Command("info", CommonOptions.WithExamples(
            "Shows what this machine has, which kernels are used, and which families of models are known.",
            "tessera info",
            "TESSERA_KERNELS=vector256 tessera info")) { json };
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
        ("threads used", $"{Processor.Threads} (TESSERA_THREADS sets them)"),
        ("memory", $"{MemoryBytes / (double)(1 << 30):F1} GiB"),
        ("kernels", $"{Processor.Level}{Why()}"),
        ("families", string.Join(", ", Family.All.Select(family => family.Name))),
        ("GGUF", string.Join(", ", GgufModel.Architectures)),
    ];

    /// <summary>The same for programs: numbers are numbers, and each level above the one in use says why it is not.</summary>
    private static object Facts() => new
    {
        Version,
        Dotnet = Environment.Version.ToString(),
        System = RuntimeInformation.OSDescription.Trim(),
        Architecture = RuntimeInformation.ProcessArchitecture.ToString(),
        Processors = Environment.ProcessorCount,
        Processor.Threads,
        MemoryBytes,
        Processor.Level,
        Best = Processor.BestLevel,
        Highest = Processor.HighestLevel,
        WhyNot = Above.ToDictionary(level => level, level => Processor.WhyNotUsed(level) ?? $"TESSERA_KERNELS asks for {Processor.Level}"),
        Processor.Features,
        Families = Family.All.ToDictionary(family => family.Name, family => family.ModelTypes),
        GgufArchitectures = GgufModel.Architectures,
    };

    /// <summary>The levels above the one in use.</summary>
    private static IEnumerable<string> Above => Processor.Levels.SkipWhile(level => level != Processor.Level).Skip(1);

    private static string Why()
    {
        if (Processor.Level != Processor.BestLevel) return $" (set by TESSERA_KERNELS; {Processor.BestLevel} is the best here)";
        return Above.FirstOrDefault() is { } next ? $" (not {next}: {Processor.WhyNotUsed(next)})" : " (the highest there is)";
    }
}
