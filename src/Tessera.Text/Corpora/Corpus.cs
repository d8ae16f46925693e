namespace Tessera.Text.Corpora;

/// <summary>Examples to train on, to choose by and to report on, in an order that depends on the data alone.</summary>
/// <param name="Train">What the model learns from; never empty when it comes from <see cref="CorpusOptions.Load"/>.</param>
/// <param name="Validation">What decides between settings; may be empty.</param>
/// <param name="Test">What the final figures are measured on; may be empty.</param>
public sealed record Corpus(
    IReadOnlyList<Example> Train, IReadOnlyList<Example> Validation, IReadOnlyList<Example> Test)
{
    /// <summary>Where the examples came from, for people: files, or packs with their versions.</summary>
    public string Origin { get; init; } = "";

    /// <summary>How much was left out, by reason (<c>"empty source or target"</c> → 3); reasons that never occurred are absent.</summary>
    public IReadOnlyDictionary<string, int> Dropped { get; init; } = new Dictionary<string, int>();
}
