using System.Text.Json.Serialization;
using Tessera.Nn;

namespace Tessera.Training.Optimizers;

/// <summary>Which optimizer, and its numbers; the key <c>kind</c> says which in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(AdamWOptions), "adamw")]
[JsonDerivedType(typeof(NesterovOptions), "nesterov")]
public abstract record OptimizerOptions
{
    /// <summary>Which parameters learn at another rate or not at all; the first rule that fits a name counts. A phase
    /// may have rules of its own.</summary>
    public IReadOnlyList<ParameterRule> Rules { get; init; } = [];

    /// <summary>The optimizer of some parameters, such as those of <see cref="Module.Parameters"/>.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, two parameters have one name, or a rule fits none.</exception>
    public abstract Optimizer Build(IReadOnlyList<(string Name, Parameter Parameter)> parameters);

    /// <summary>Throws where an option is not in [0, <paramref name="below"/>).</summary>
    private protected static void Require(double value, string option, double below = double.PositiveInfinity)
    {
        if (!(value >= 0 && value < below))
            throw new ArgumentOutOfRangeException(option, value, $"{option} must be at least 0 and less than {below}");
    }
}
