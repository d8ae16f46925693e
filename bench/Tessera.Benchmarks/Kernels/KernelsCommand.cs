using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using Tessera.Tensors;

namespace Tessera.Benchmarks.Kernels;

/// <summary><c>kernels</c>: BenchmarkDotNet over each kernel, at one level or several. A level is chosen when a process starts,
/// so each has a job of its own.</summary>
internal static class KernelsCommand
{
    private const string LevelsOption = "--levels";

    /// <summary>Runs benchmarks.</summary>
    /// <param name="arguments"><c>--levels vector256,vector512</c> or <c>all</c>, by default the level in use; the rest is
    /// BenchmarkDotNet's, as <c>--filter *Attention*</c>.</param>
    /// <exception cref="ArgumentException">A level is unknown, or one that this machine lacks.</exception>
    public static void Run(string[] arguments)
    {
        var place = Array.IndexOf(arguments, LevelsOption);
        if (place >= 0 && place + 1 == arguments.Length) throw new ArgumentException($"{LevelsOption} needs names of levels, or 'all'");
        var levels = place < 0 ? [Processor.Level] : Levels(arguments[place + 1]);
        string[] others = place < 0 ? arguments : [.. arguments[..place], .. arguments[(place + 2)..]];
        BenchmarkSwitcher.FromAssembly(typeof(KernelsCommand).Assembly).Run(
            others.Length > 0 ? others : ["--filter", "*"], Configuration(levels));
    }

    private static List<string> Levels(string names)
    {
        var known = Processor.Levels.Where(level => Processor.WhyNot(level) is null).ToList();
        if (names == "all") return known;
        return [.. names.Split(',').Select(name => known.Contains(name)
            ? name
            : throw new ArgumentException(
                $"{LevelsOption}: '{name}' is no level of this machine; allowed: all, {string.Join(", ", known)}"))];
    }

    private static ManualConfig Configuration(IReadOnlyList<string> levels)
    {
        var configuration = ManualConfig.CreateEmpty()
            .AddLogger(ConsoleLogger.Default)
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .HideColumns("EnvironmentVariables")
            .AddExporter(MarkdownExporter.GitHub);
        foreach (var level in levels)
        {
            configuration.AddJob(Job.ShortRun
                .WithEnvironmentVariable("TESSERA_KERNELS", level)
                .WithId(level));
        }

        return configuration;
    }
}
