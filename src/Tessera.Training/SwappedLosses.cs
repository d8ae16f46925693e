using Tessera.Models;
using Tessera.Nn;
using Tessera.Training.Phases;

namespace Tessera.Training;

/// <summary>What a phase weighs of the losses of the model's parts: where changes to a recipe swap the parts that report a loss for others
/// that do not, its weight goes with them. A loss that the recipe's model never reported stays, and is an error.</summary>
internal static class SwappedLosses
{
    /// <summary>The recipe without weights of losses that its model reported before it was changed and does not report now.</summary>
    /// <param name="recipe">With the changes.</param>
    /// <param name="before">The model without them; null where there is none.</param>
    /// <param name="note">Takes a line for each phase that lost some.</param>
    public static Recipe Drop(Recipe recipe, Func<ModelOptions?> before, Action<string>? note)
    {
        var weighed = recipe.Phases.SelectMany(phase => phase.Losses.Keys).ToHashSet();
        if (weighed.Count == 0) return recipe;
        weighed.ExceptWith(Offered(() => recipe.Model) ?? weighed);
        if (weighed.Count == 0) return recipe;
        weighed.IntersectWith(Offered(before) ?? []);
        if (weighed.Count == 0) return recipe;
        return recipe with { Phases = [.. recipe.Phases.Select((phase, index) => Without(phase, index, weighed, note))] };
    }

    private static Phase Without(Phase phase, int index, HashSet<string> losses, Action<string>? note)
    {
        var gone = phase.Losses.Keys.Where(losses.Contains).ToList();
        if (gone.Count == 0) return phase;
        note?.Invoke($"phases[{index}].losses: the model's parts no longer report {string.Join(", ", gone)}; dropped");
        return phase with { Losses = phase.Losses.ExceptBy(gone, loss => loss.Key).ToDictionary(loss => loss.Key, loss => loss.Value) };
    }

    /// <summary>What a model's parts report, by building it without drawing a weight; null where it cannot be built, which is told
    /// elsewhere.</summary>
    private static HashSet<string>? Offered(Func<ModelOptions?> model)
    {
        try
        {
            var built = model()?.Build(new TokenizerOptions().Vocabulary, seed: 0);
            return built?.Modules().SelectMany(named => named.Module.OfferedLosses).ToHashSet();
        }
        catch (RecipeException)
        {
            return null;
        }
    }
}
