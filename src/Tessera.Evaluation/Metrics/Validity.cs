using Tessera.Generation.Validation;

namespace Tessera.Evaluation.Metrics;

/// <summary>How many outputs parse.</summary>
/// <param name="Errors">
/// For each output in order, what is wrong with it first and where, or null where it is valid; at least one output.
/// </param>
public sealed record Validity(IReadOnlyList<string?> Errors)
{
    /// <summary>Outputs that parse.</summary>
    public int Valid => Errors.Count(error => error is null);

    /// <summary>Outputs in all.</summary>
    public int Total => Errors.Count;

    /// <summary>Valid over total, 0 to 1.</summary>
    public double Share => (double)Valid / Total;

    /// <summary>Parses each output.</summary>
    /// <exception cref="ArgumentException">There is no output.</exception>
    public static Validity Measure(IReadOnlyList<string> outputs, SyntaxValidator validator)
    {
        ArgumentNullException.ThrowIfNull(outputs);
        ArgumentNullException.ThrowIfNull(validator);
        if (outputs.Count == 0) throw new ArgumentException("There is no output to parse.", nameof(outputs));
        return new Validity([.. outputs.Select(validator.FirstError)]);
    }
}
