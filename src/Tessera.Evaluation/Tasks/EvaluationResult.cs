using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using Tessera.Tensors;

namespace Tessera.Evaluation.Tasks;

/// <summary>What was measured on examples that the model has not learned from.</summary>
/// <param name="Split">Which examples: <c>test</c>, <c>validation</c> where the corpus has no test, or <c>text</c> where texts were
/// named.</param>
/// <param name="Examples">How many were used.</param>
/// <param name="Systems">The model, what it was to be compared with, and the baselines.</param>
/// <param name="Samples">Some examples with the model's output.</param>
/// <param name="ExpertUse">How many tokens, padding left out, each routed expert was given, by layer.</param>
public sealed record EvaluationResult(
    string Split, int Examples, IReadOnlyList<SystemScore> Systems, IReadOnlyList<Sample> Samples,
    IReadOnlyDictionary<string, IReadOnlyList<long>> ExpertUse)
{
    /// <summary>The model beside another one, by metric; empty where there was no other.</summary>
    public IReadOnlyList<Comparison> Comparisons { get; init; } = [];

    /// <summary>How texts were read; null where examples of a corpus were.</summary>
    public TextWindows? Windows { get; init; }

    /// <summary>Which model was measured when, on what; null where nobody noted it.</summary>
    public EvaluationOrigin? Origin { get; init; }

    /// <summary>The metrics that were asked for, in their usual order.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Metrics =>
        [.. Metric.Names.Where(name => Systems.Any(system => system.Values.ContainsKey(name) || system.Absent.ContainsKey(name)))];
}

/// <summary>Where the figures of an evaluation come from. Two evaluations are the same, and the later one replaces the earlier, where
/// checkpoint, weights, data, number of examples, metrics and <paramref name="Options"/> are.</summary>
/// <param name="Date">When it was made, in universal time.</param>
/// <param name="Model">The model's folder or file, as it was named.</param>
/// <param name="Checkpoint">The checkpoint of a run, such as <c>step-000000400</c>; null for a finished model.</param>
/// <param name="Weights">SHA-256 of the finished model's weights; null where it is not known.</param>
/// <param name="Data">Where the examples came from.</param>
/// <param name="Options">How outputs were generated, which metrics, what was beside.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Machine">Operating system, processor architecture, kernels and threads.</param>
public sealed record EvaluationOrigin(
    DateTime Date, string Model, string? Checkpoint, string? Weights, string Data, string Options, double Seconds, string Machine)
{
    /// <summary>This machine, in words.</summary>
    public static string ThisMachine =>
        $"{RuntimeInformation.OSDescription.Trim()}, {RuntimeInformation.ProcessArchitecture}, {Processor.Level} kernels, "
        + $"{Processor.Threads} {(Processor.Threads == 1 ? "thread" : "threads")}";
}

/// <summary>How whole texts were read: in windows that overlap, each token but the first predicted once, with as much before it as its
/// window has.</summary>
/// <param name="Context">Tokens of a window, the predicted ones included.</param>
/// <param name="Stride">How many tokens further on the next window begins.</param>
/// <param name="Count">Windows of all texts together.</param>
public sealed record TextWindows(int Context, int Stride, long Count);

/// <summary>The figures of one system.</summary>
/// <param name="System">Its name.</param>
/// <param name="Values">By the name of the metric; only those that apply, each finite.</param>
public sealed record SystemScore(string System, IReadOnlyDictionary<string, double> Values)
{
    /// <summary>Why a metric has no value, by its name.</summary>
    public IReadOnlyDictionary<string, string> Absent { get; init; } = new Dictionary<string, string>();

    /// <summary>How many tokens its perplexity is of; 0 where it has none.</summary>
    public long Tokens { get; init; }

    /// <summary>UTF-8 bytes that those tokens spell; 0 where it is not known.</summary>
    public long Bytes { get; init; }
}

/// <summary>The model beside another one on the same examples.</summary>
/// <param name="Metric">The name of the metric.</param>
/// <param name="Model">The model's value.</param>
/// <param name="Beside">The other one's.</param>
/// <param name="PValue">By <see cref="Metrics.PairedBootstrap"/>; null for a metric that does not follow from counts of single
/// examples.</param>
public sealed record Comparison(string Metric, double Model, double Beside, double? PValue)
{
    /// <summary>The model's value less the other one's.</summary>
    public double Difference => Model - Beside;
}

/// <summary>An example with what was generated for it.</summary>
/// <param name="Source">What was given: a source, or the beginning of a text.</param>
/// <param name="Reference">What was wanted: a target, or how the text goes on.</param>
/// <param name="Output">What came out.</param>
/// <param name="Valid">Whether it is well formed; null where nobody asked.</param>
public sealed record Sample(string Source, string Reference, string Output, bool? Valid);
