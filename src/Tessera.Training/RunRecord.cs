using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using Tessera.Models.Recipes;
using Tessera.Tensors;

namespace Tessera.Training;

/// <summary>How a run stands.</summary>
public enum RunStatus
{
    /// <summary>It trains, or was killed while it did.</summary>
    Running,

    /// <summary>It was stopped, and can be gone on with.</summary>
    Stopped,

    /// <summary>It ended with an error.</summary>
    Failed,

    /// <summary>Its model is written.</summary>
    Finished,
}

/// <summary>What a run is and how far it came: <c>run.json</c> of its folder, written when the run begins, with every checkpoint and when
/// it ends. The recipe stands beside it, in <c>recipe.json</c>.</summary>
public sealed record RunRecord
{
    /// <summary>The recipe's name.</summary>
    public required string Name { get; init; }

    /// <summary>The recipe's seed.</summary>
    public required ulong Seed { get; init; }

    /// <summary>How the run stands.</summary>
    public RunStatus Status { get; init; }

    /// <summary>Optimizer steps done.</summary>
    public long Steps { get; init; }

    /// <summary>Tokens learned from, of sources and targets.</summary>
    public long Tokens { get; init; }

    /// <summary>Seconds spent on steps; validation, saving and preparation not counted.</summary>
    public double TrainingSeconds { get; init; }

    /// <summary>The step whose weights the finished model has; null where there is none yet.</summary>
    public long? ModelStep { get; init; }

    /// <summary>The lowest validation loss, in nats a token; null where nothing was validated.</summary>
    public double? BestLoss { get; init; }

    /// <summary>Examples to learn from, of all datasets.</summary>
    public int Examples { get; init; }

    /// <summary>Examples to validate on, of all datasets.</summary>
    public int ValidationExamples { get; init; }

    /// <summary>Examples to learn from that were left out as too long.</summary>
    public int TooLong { get; init; }

    /// <summary>The phases, by their places in the recipe, whose precision the machine was left to decide.</summary>
    public IReadOnlyList<int> AutoPrecision { get; init; } = [];

    /// <summary>The stretches of the run, one for each time it was begun or gone on with.</summary>
    public IReadOnlyList<RunStretch> Stretches { get; init; } = [];

    /// <summary>Seconds from beginning to end of all stretches together, everything included.</summary>
    [JsonIgnore]
    public double Seconds => Stretches.Sum(stretch => stretch.Seconds);

    /// <summary>Reads the record of a run; null where it has none.</summary>
    /// <exception cref="Tessera.Nn.RecipeException">The file is damaged.</exception>
    public static RunRecord? Read(RunFolder folder) =>
        File.Exists(folder.Record) ? RecipeJson.ReadFile<RunRecord>(folder.Record) : null;

    internal void Write(RunFolder folder) => RunFolder.Write(folder.Record, RecipeJson.Write(this) + "\n");
}

/// <summary>A stretch of a run that one process trained.</summary>
public sealed record RunStretch
{
    /// <summary>The steps done before it.</summary>
    public long FromStep { get; init; }

    /// <summary>The steps done when it was last written down.</summary>
    public long ToStep { get; init; }

    /// <summary>When it began, in universal time.</summary>
    public DateTime Began { get; init; }

    /// <summary>Seconds until it was last written down.</summary>
    public double Seconds { get; init; }

    /// <summary>The version of Tessera, with the revision of its source where that is known: <c>0.1.0+4d1ae8a…</c>.</summary>
    public required string Version { get; init; }

    /// <summary>The machine's operating system and processor architecture.</summary>
    public required string System { get; init; }

    /// <summary>Logical processors of the machine.</summary>
    public int Processors { get; init; }

    /// <summary>Threads of the kernels.</summary>
    public int Threads { get; init; }

    /// <summary>The kernels' level.</summary>
    public required string Kernels { get; init; }

    /// <summary>A stretch that begins now, on this machine.</summary>
    /// <param name="step">The steps done already.</param>
    internal static RunStretch Here(long step) => new()
    {
        FromStep = step,
        ToStep = step,
        Began = DateTime.UtcNow,
        Version = typeof(RunStretch).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "?",
        System = $"{RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.ProcessArchitecture}",
        Processors = Environment.ProcessorCount,
        Threads = Processor.Threads,
        Kernels = Processor.Level,
    };
}
