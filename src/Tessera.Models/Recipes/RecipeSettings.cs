using System.Text.Json.Nodes;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>Changes to a recipe given as text: <c>model.decoder.attention.heads=8</c>, <c>phases[0].minutes=2</c>.</summary>
public static class RecipeSettings
{
    /// <summary>
    /// Makes changes, all of them or, where one cannot be made, none.
    /// <para>To set a part's <c>kind</c> swaps the part: options that both kinds have stay if the new kind takes their values, the others
    /// are dropped and named in a note. A word in a part's place does the same. The options of a new kind may be set before it or
    /// after it.</para>
    /// </summary>
    /// <typeparam name="T">The record that the recipe is to become.</typeparam>
    /// <param name="recipe">The recipe; its words become objects, its former names the present ones.</param>
    /// <param name="settings">The changes; what reads as JSON is taken as JSON, anything else as a text.</param>
    /// <returns>Notes, one line each, on what was dropped.</returns>
    /// <exception cref="RecipeException">A setting has no <c>=</c>, its path leads nowhere, or it names a kind that its group does not
    /// have.</exception>
    public static IReadOnlyList<string> Apply<T>(JsonObject recipe, params IReadOnlyList<string> settings) =>
        Apply(recipe, typeof(T), settings, FormerNames.OfRecipes);

    internal static IReadOnlyList<string> Apply(JsonObject recipe, Type type, IReadOnlyList<string> settings, FormerNames former)
    {
        if (settings.Count == 0) return [];
        var types = RecipeTypes.Current;
        var changed = recipe.DeepClone().AsObject();
        new FullForm(types, former).Of(changed, type, "");
        var change = new RecipeChange(types, former);
        foreach (var setting in RecipeSetting.InOrder(settings.Select(RecipeSetting.Parse))) change.Make(changed, type, setting);
        recipe.Clear();
        foreach (var (key, value) in changed.ToList())
        {
            changed.Remove(key);
            recipe[key] = value;
        }

        return change.Notes;
    }
}
