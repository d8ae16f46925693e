namespace Tessera.Evaluation.Tasks;

/// <summary>What was measured on held-out examples.</summary>
/// <param name="Split">Which examples: <c>test</c>, or <c>validation</c> where the corpus has no test.</param>
/// <param name="Examples">How many were used.</param>
/// <param name="Systems">The model and the baselines it is compared with.</param>
/// <param name="Samples">Some examples with the model's output.</param>
/// <param name="ExpertUse">How often each routed expert was chosen, by layer.</param>
public sealed record EvaluationResult(
    string Split, int Examples, IReadOnlyList<SystemScore> Systems, IReadOnlyList<Sample> Samples,
    IReadOnlyDictionary<string, IReadOnlyList<long>> ExpertUse);

/// <summary>The figures of one system.</summary>
/// <param name="System">Its name.</param>
/// <param name="Values">By the name of the metric; NaN where it does not apply.</param>
public sealed record SystemScore(string System, IReadOnlyDictionary<string, double> Values);

/// <summary>An example with what was generated for it.</summary>
/// <param name="Source">What was given.</param>
/// <param name="Reference">What was wanted.</param>
/// <param name="Output">What came out.</param>
/// <param name="Valid">Whether it is well formed; null where nobody asked.</param>
public sealed record Sample(string Source, string Reference, string Output, bool? Valid);
