using Tessera.Nn;
using Tessera.Training.Optimizers;

namespace Tessera.Training.Phases;

/// <summary>Which of a model's parameters learn in each phase of a recipe, and the optimizer of those that learn in any.</summary>
internal sealed class PhaseRules
{
    private readonly Recipe _recipe;
    private readonly IReadOnlyList<(string Name, Parameter Parameter)> _parameters;

    /// <summary>Builds the optimizer.</summary>
    /// <param name="recipe">The optimizer and the phases, with their rules.</param>
    /// <param name="parameters">All of the model's, by name.</param>
    /// <exception cref="RecipeException">A rule names no parameter, a phase has nothing to learn, or the optimizer's options are not allowed.</exception>
    public PhaseRules(Recipe recipe, IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        (_recipe, _parameters) = (recipe, parameters);
        RequireFit("optimizer.rules", recipe.Optimizer.Rules);
        for (var index = 0; index < recipe.Phases.Count; index++) Check(recipe.Phases[index], $"phases[{index}].rules");
        var idle = parameters.Where(own => !recipe.Phases.Any(phase => Learns(own, phase)));
        try
        {
            Optimizer = (recipe.Optimizer with { Rules = [.. idle.Select(own => ParameterRule.Freeze(own.Name))] }).Build(parameters);
        }
        catch (ArgumentException error)
        {
            throw new RecipeException("optimizer", error.Message);
        }
    }

    /// <summary>Changes what learns in some phase.</summary>
    public Optimizer Optimizer { get; }

    /// <summary>Freezes what does not learn in a phase, thaws what does, and sets the rates of the rest.</summary>
    public void Apply(Phase phase)
    {
        foreach (var (name, parameter) in _parameters) parameter.IsFrozen = ParameterRule.FactorOf(name, Of(phase)) == 0;
        Optimizer.Follow(Of(phase));
    }

    private IReadOnlyList<ParameterRule> Of(Phase phase) => phase.Rules ?? _recipe.Optimizer.Rules;

    private bool Learns((string Name, Parameter Parameter) own, Phase phase) =>
        own.Parameter.IsTrained && ParameterRule.FactorOf(own.Name, Of(phase)) > 0;

    private void Check(Phase phase, string path)
    {
        RequireFit(path, phase.Rules ?? []);
        if (!_parameters.Any(own => Learns(own, phase)))
            throw new RecipeException(phase.Rules is null ? "optimizer.rules" : path, "freezes all parameters; allowed: rules that leave something to learn");
    }

    private void RequireFit(string path, IReadOnlyList<ParameterRule> rules)
    {
        for (var index = 0; index < rules.Count; index++)
        {
            if (_parameters.Any(own => rules[index].Fits(own.Name))) continue;
            throw new RecipeException(
                $"{path}[{index}].pattern", $"is '{rules[index].Pattern}', which fits no parameter; a name is, for example, {_parameters[0].Name}");
        }
    }
}
