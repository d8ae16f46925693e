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
/// <param name="Additive">The same from counts of single examples, to tell whether two systems differ; null where it has none.</param>
public sealed record Metric(
    string Name, string Title, string Format, Func<IReadOnlyList<string>, IReadOnlyList<string>, double>? Measure = null,
    Func<IReadOnlyList<string>, IReadOnlyList<string>, AdditiveScore>? Additive = null)
{
    /// <summary>The names of all metrics.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["bleu-4", "codexglue-bleu", "exact-match", "validity", "perplexity", "bits-per-byte", "expert-use", "speed", "accuracy"];

    /// <summary>All metrics, in the order of <see cref="Names"/>.</summary>
    /// <param name="validator">Says which outputs are well formed, for <c>validity</c>.</param>
    public static IReadOnlyList<Metric> All(SyntaxValidator validator) => Named(Names, validator);

    /// <summary>Metrics by their names.</summary>
    /// <param name="names">As in a recipe's <c>evaluate</c>.</param>
    /// <param name="validator">Says which outputs are well formed, for <c>validity</c>.</param>
    /// <exception cref="RecipeException">A name is unknown; the message lists those that are not.</exception>
    public static IReadOnlyList<Metric> Named(IReadOnlyList<string> names, SyntaxValidator validator)
    {
        RequireKnown(names);
        return [.. names.Select(name => Named(name, validator))];
    }

    /// <summary>Requires that all names are those of metrics.</summary>
    /// <param name="names">As in a recipe's <c>evaluate</c>.</param>
    /// <exception cref="RecipeException">One is not; the message lists those there are.</exception>
    public static void RequireKnown(IReadOnlyList<string> names)
    {
        for (var index = 0; index < names.Count; index++)
            if (!Names.Contains(names[index]))
                throw new RecipeException($"evaluate[{index}]", $"is '{names[index]}'; allowed: {string.Join(", ", Names)}");
    }

    /// <summary>The value of a system as text; a dash where it has none.</summary>
    public string Show(SystemScore system) => system.Values.TryGetValue(Name, out var value) ? Show(value) : "–";

    /// <summary>A value as text; a dash where it is not finite.</summary>
    public string Show(double value) => double.IsFinite(value) ? value.ToString(Format, CultureInfo.InvariantCulture) : "–";

    private static Metric Named(string name, SyntaxValidator validator) => name switch
    {
        "bleu-4" => new(
            name, "BLEU-4", "0.00", (outputs, references) => CorpusBleu.Score(outputs, references).Score, CorpusBleu.Additive),
        "codexglue-bleu" => new(
            name, "CodeXGLUE BLEU", "0.00", (outputs, references) => 100 * CodeXGlueBleu.Score(outputs, references).Score),
        "exact-match" => new(
            name, "exact match %", "0.0", (outputs, references) => 100 * ExactMatch.Measure(outputs, references).Share,
            (outputs, references) => Share(outputs.Select((output, i) => ExactMatch.IsMatch(output, references[i])))),
        "validity" => new(
            name, $"valid {validator.Language} %", "0.0", (outputs, _) => 100 * Validity.Measure(outputs, validator).Share,
            (outputs, _) => Share(outputs.Select(validator.IsValid))),
        "perplexity" => new(name, "perplexity", "0.00"),
        "bits-per-byte" => new(name, "bits per byte", "0.000"),
        "expert-use" => new(name, "expert use (Jain)", "0.000"),
        "speed" => new(name, "tokens/s", "0"),
        "accuracy" => new(name, "accuracy %", "0.0"),
        _ => throw new ArgumentException($"'{name}' is no metric", nameof(name)),
    };
    private static AdditiveScore Share(IEnumerable<bool> hits) => AdditiveScore.Ratio(hits.Select(hit => (hit ? 1.0 : 0, 1.0)), scale: 100);
}
