using System.Text.Json;
using System.Text.Json.Serialization;
using Tessera.Nn;

namespace Tessera.Training.Optimizers;

/// <summary>Which optimizer, and its numbers; the key <c>kind</c> says which in a recipe.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(AdamWOptions), "adamw")]
[JsonDerivedType(typeof(NesterovOptions), "nesterov")]
public abstract record OptimizerOptions
{
    /// <summary>Which parameters learn at another rate, by another optimizer or not at all; the first rule that fits a name counts. A phase
    /// may have rules of its own, for rates alone.</summary>
    public IReadOnlyList<ParameterRule> Rules { get; init; } = [];

    /// <summary>The optimizer of some parameters, such as those of <see cref="Module.Parameters"/>.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, two parameters have one name, or a rule fits none.</exception>
    public abstract Optimizer Build(IReadOnlyList<(string Name, Parameter Parameter)> parameters);

    /// <summary>Throws where an option is out of its range; nothing unless said.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is so: the parameter is the option, the message says what it must be.</exception>
    protected virtual void Check()
    {
    }

    /// <summary>Throws where a recipe asks for what cannot be.</summary>
    /// <param name="path">The optimizer's place in the recipe.</param>
    internal void Validate(string path)
    {
        try
        {
            Check();
        }
        catch (ArgumentOutOfRangeException error)
        {
            var allowed = error.Message.Split(" (Parameter")[0].Split(" must be ")[^1];
            var key = JsonNamingPolicy.CamelCase.ConvertName(error.ParamName ?? "");
            throw new RecipeException($"{path}.{key}", $"is {error.ActualValue}; allowed: {allowed}");
        }

        for (var index = 0; index < Rules.Count; index++)
        {
            if (Rules[index].Optimizer is not { } optimizer) continue;
            var place = $"{path}.rules[{index}].optimizer";
            optimizer.Validate(place);
            if (optimizer.Rules.Count == 0) continue;
            throw new RecipeException(
                $"{place}.rules", $"has {optimizer.Rules.Count} rules; allowed: none, its parameters follow {path}.rules");
        }
    }

    /// <summary>Throws where an option is not in [0, <paramref name="below"/>).</summary>
    private protected static void Require(double value, string option, double below = double.PositiveInfinity)
    {
        if (!(value >= 0 && value < below))
            throw new ArgumentOutOfRangeException(option, value, $"{option} must be at least 0 and less than {below}");
    }
}
