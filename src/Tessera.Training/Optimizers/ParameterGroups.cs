using Tessera.Nn;
using Tessera.Training.Phases;

namespace Tessera.Training.Optimizers;

/// <summary>Parameters that one optimizer changes.</summary>
/// <param name="Optimizer">The optimizer; its rules are not read.</param>
/// <param name="Parameters">The parameters, in the model's order.</param>
public sealed record ParameterGroup(OptimizerOptions Optimizer, IReadOnlyList<(string Name, Parameter Parameter)> Parameters);

/// <summary>Which of a model's parameters learn, in which phase of a recipe, and by which optimizer. No weight is touched to say
/// so.</summary>
public sealed class ParameterGroups
{
    private readonly Recipe _recipe;
    private readonly IReadOnlyList<(string Name, Parameter Parameter)> _parameters;

    /// <summary>Sends each parameter that learns in some phase to an optimizer.</summary>
    /// <param name="recipe">The optimizer and the phases, with their rules.</param>
    /// <param name="parameters">All of what learns, by name.</param>
    /// <exception cref="RecipeException">A rule names no parameter, or only such as rules before it name, or a phase has nothing to
    /// learn.</exception>
    internal ParameterGroups(Recipe recipe, IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        (_recipe, _parameters) = (recipe, parameters);
        RequireFit("optimizer.rules", recipe.Optimizer.Rules);
        for (var index = 0; index < recipe.Phases.Count; index++) Check(recipe.Phases[index], $"phases[{index}].rules");
        Learning = [.. parameters.Where(own => recipe.Phases.Any(phase => Learns(own, phase)))];
        Groups = [.. recipe.Optimizer.Rules.Prepend(ParameterRule.Plain)
            .Select(rule => new ParameterGroup(rule.Optimizer ?? recipe.Optimizer, [.. Learning.Where(own => IsIn(own.Name, rule))]))
            .Where(group => group.Parameters.Count > 0)];
    }

    /// <summary>The parameters that learn in some phase, in the model's order.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Learning { get; }

    /// <summary>The same by optimizer: those of the recipe's own first, then those of each rule that names one.</summary>
    public IReadOnlyList<ParameterGroup> Groups { get; }

    /// <summary>Makes the optimizers, which takes the memory of what they remember.</summary>
    internal OptimizerGroups Build() =>
        new([.. Groups.Select(group => (group.Optimizer with { Rules = [] }).Build(group.Parameters))], Learning);

    /// <summary>Freezes what does not learn in a phase, thaws what does, and sets the rates of the rest.</summary>
    internal void Apply(Phase phase, OptimizerGroups optimizers)
    {
        foreach (var (name, parameter) in _parameters) parameter.IsFrozen = ParameterRule.FactorOf(name, RulesOf(phase)) == 0;
        optimizers.Follow(RulesOf(phase));
    }

    private IReadOnlyList<ParameterRule> RulesOf(Phase phase) => phase.Rules ?? _recipe.Optimizer.Rules;

    /// <summary>Whether a parameter is changed by the optimizer that a rule names; where its rule names none, it is the recipe's, as for
    /// parameters without a rule.</summary>
    private bool IsIn(string name, ParameterRule group)
    {
        var rule = ParameterRule.Of(name, _recipe.Optimizer.Rules);
        return ReferenceEquals(rule.Optimizer is null ? ParameterRule.Plain : rule, group);
    }

    private bool Learns((string Name, Parameter Parameter) own, Phase phase) =>
        own.Parameter.IsTrained && ParameterRule.FactorOf(own.Name, RulesOf(phase)) > 0;

    private void Check(Phase phase, string path)
    {
        RequireFit(path, phase.Rules ?? []);
        if (!_parameters.Any(own => Learns(own, phase)))
        {
            throw new RecipeException(
                phase.Rules is null ? "optimizer.rules" : path, "freezes all parameters; allowed: rules that leave something to learn");
        }
    }

    private void RequireFit(string path, IReadOnlyList<ParameterRule> rules)
    {
        for (var index = 0; index < rules.Count; index++)
        {
            if (_parameters.Any(own => ReferenceEquals(ParameterRule.Of(own.Name, rules), rules[index]))) continue;
            if (_parameters.Any(own => rules[index].Fits(own.Name)))
            {
                throw new RecipeException(
                    $"{path}[{index}].pattern",
                    $"is '{rules[index].Pattern}', which never counts: rules before it, of which the first that fits counts, "
                    + "fit all its parameters; put it before them");
            }

            throw new RecipeException(
                $"{path}[{index}].pattern",
                $"is '{rules[index].Pattern}', which fits no parameter; a name is, for example, {_parameters[0].Name}");
        }
    }
}
