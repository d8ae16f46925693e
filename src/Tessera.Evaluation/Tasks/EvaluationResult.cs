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
}

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
