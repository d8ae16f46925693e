using System.IO.Enumeration;
using System.Text.Json.Serialization;

namespace Tessera.Training.Optimizers;

/// <summary>How the parameters whose names fit a pattern are trained.</summary>
/// <param name="Pattern">A full name in which <c>*</c> stands for any characters and <c>?</c> for one: <c>decoder.layers.0.*</c>.</param>
/// <param name="LearningRateFactor">What the learning rate is multiplied by, at least 0; 0 freezes the parameter: it keeps its
/// value, does not decay and takes no memory in the optimizer.</param>
/// <param name="Optimizer">What changes the parameters; the recipe's optimizer where null. It has no rules of its own.</param>
public sealed record ParameterRule(string Pattern, double LearningRateFactor = 1, OptimizerOptions? Optimizer = null)
{
    /// <summary>The rule of parameters that no other rule names.</summary>
    internal static ParameterRule Plain { get; } = new("*");

    /// <summary>What the learning rate is multiplied by, at least 0; 0 freezes the parameter: it keeps its value, does not decay,
    /// costs no gradient and takes no memory in the optimizer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative or not finite.</exception>
    public double LearningRateFactor { get; } = double.IsFinite(LearningRateFactor) && LearningRateFactor >= 0
            ? LearningRateFactor
            : throw new ArgumentOutOfRangeException(
                nameof(LearningRateFactor), LearningRateFactor, $"the learning rate factor of '{Pattern}' must be at least 0");

    /// <summary>The first rule that fits a name.</summary>
    internal static ParameterRule Of(string name, IReadOnlyList<ParameterRule> rules) =>
        rules.FirstOrDefault(rule => rule.Fits(name)) ?? Plain;

    /// <summary>What the learning rate of a parameter is multiplied by: by the first rule that fits its name, or 1.</summary>
    internal static double FactorOf(string name, IReadOnlyList<ParameterRule> rules) => Of(name, rules).LearningRateFactor;

    /// <summary>Whether the parameters it names are frozen.</summary>
    [JsonIgnore]
    public bool Frozen => LearningRateFactor == 0;

    /// <summary>A rule that keeps the parameters it names as they are.</summary>
    public static ParameterRule Freeze(string pattern) => new(pattern, 0);

    /// <summary>Whether a parameter's full name fits the pattern; letters count as they are written.</summary>
    public bool Fits(string name) => FileSystemName.MatchesSimpleExpression(Pattern, name, ignoreCase: false);
}
