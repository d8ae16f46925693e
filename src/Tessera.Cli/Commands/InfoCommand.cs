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
            var memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
            var facts = new (string Key, string Value)[]
            {
                ("tessera", typeof(InfoCommand).Assembly.GetName().Version?.ToString(3) ?? "?"),
                (".NET", RuntimeInformation.FrameworkDescription),
                ("system", $"{RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.ProcessArchitecture}"),
                ("processors", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture)),
                ("threads used", $"{Simd.Threads} (TESSERA_THREADS sets them)"),
                ("memory", $"{memory / (double)(1 << 30):F1} GiB"),
                ("kernels", $"{Simd.Level.Name()}{Why()}"),
            };
            if (screen.IsJson) screen.Json(facts.ToDictionary(fact => fact.Key, fact => fact.Value));
            else foreach (var (key, value) in facts) screen.Line($"{key,-13} {value}");
            return CommandRunner.Success;
        });
        return command;
    }

    private static string Why()
    {
        if (Simd.Level < Simd.Highest) return $" (set by TESSERA_KERNELS; {Simd.Highest.Name()} can be used here)";
        return Simd.WhyNotHigher == "" ? " (the highest there is)" : $" (not {(Simd.Level + 1).Name()}: {Simd.WhyNotHigher})";
    }
}
