using System.Globalization;
using Tessera.Evaluation.Metrics;
using Tessera.Generation.Validation;
using Tessera.Nn;

namespace Tessera.Evaluation.Tasks;

/// <summary>Something that is measured on held-out examples: its name in a recipe's <c>evaluate</c> and how it is shown.</summary>
/// <param name="Name">The name in a recipe.</param>
/// <param name="Title">The name in a table.</param>
/// <param name="Format">How its values are written.</param>
/// <param name="Measure">From outputs and references, in the same order; null where something else than outputs is measured.</param>
public sealed record Metric(
    string Name, string Title, string Format, Func<IReadOnlyList<string>, IReadOnlyList<string>, double>? Measure = null)
{
    /// <summary>All metrics.</summary>
    public static IReadOnlyList<Metric> All { get; } =
    [
        new("bleu-4", "BLEU-4", "0.00", (outputs, references) => CorpusBleu.Score(outputs, references).Score),
        new("codexglue-bleu", "CodeXGLUE BLEU", "0.00", (outputs, references) => 100 * CodeXGlueBleu.Score(outputs, references).Score),
        new("exact-match", "exact match %", "0.0", (outputs, references) => 100 * ExactMatch.Measure(outputs, references).Share),
        new("validity", "valid C# %", "0.0", (outputs, _) => 100 * Validity.Measure(outputs, new CSharpSyntaxValidator()).Share),
        new("perplexity", "perplexity", "0.00"),
        new("expert-use", "expert use (Jain)", "0.000"),
        new("speed", "tokens/s", "0"),
    ];

    /// <summary>Metrics by their names.</summary>
    /// <exception cref="RecipeException">A name is unknown; the message lists those that are not.</exception>
    public static IReadOnlyList<Metric> Named(IReadOnlyList<string> names) =>
    [
        .. names.Select((name, index) => All.FirstOrDefault(metric => metric.Name == name)
            ?? throw new RecipeException($"evaluate[{index}]", $"is '{name}'; allowed: {string.Join(", ", All.Select(metric => metric.Name))}")),
    ];

    /// <summary>A value as text; a dash where there is none.</summary>
    public string Show(double value) => double.IsNaN(value) ? "–" : value.ToString(Format, CultureInfo.InvariantCulture);
}
