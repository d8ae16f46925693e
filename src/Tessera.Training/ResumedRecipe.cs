using System.Text.Json.Nodes;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Heads;
using Tessera.Training.Phases;
using Tessera.Training.Precision;

namespace Tessera.Training;

/// <summary>The recipe that a run goes on with: its own, with the changes that are asked for now. What the recipe's file says otherwise,
/// since it or the settings have changed since the run began, is told and not done.</summary>
public static class ResumedRecipe
{
    /// <summary>So many differences are told one by one.</summary>
    private const int Told = 3;

    /// <summary>The recipe of a run that goes on.</summary>
    /// <param name="folder">The run, which has begun.</param>
    /// <param name="asked">The recipe as it would be begun now, <paramref name="settings"/> included.</param>
    /// <param name="settings">Changes that are asked for now; only how long phases last and their precision may change.</param>
    /// <param name="note">Told what the run does otherwise than <paramref name="asked"/>.</param>
    /// <exception cref="RecipeException">The run is one of another recipe, or the settings do not fit it.</exception>
    public static Recipe Of(RunFolder folder, Recipe asked, IReadOnlyList<string> settings, Action<string>? note = null)
    {
        var own = Recipe.Load(folder.Recipe, settings);
        if (own.Name != asked.Name)
        {
            throw new RecipeException(
                "name", $"is '{asked.Name}', but the run in '{folder.Path}' is one of '{own.Name}'; allowed: the run's own recipe, "
                + folder.Recipe);
        }

        var auto = RunRecord.Read(folder)?.AutoPrecision;
        var recipe = own with { Phases = [.. own.Phases.Select((phase, index) => LeftOpen(index) ? Open(phase) : phase)] };
        var differences = Differences(Comparable(recipe, asked), RecipeJson.Parse(asked.ToJson(), "recipe")).ToList();
        if (differences.Count > 0) note?.Invoke(Describe(folder, differences));
        return recipe;

        bool LeftOpen(int index) => !settings.Any(setting => Sets(setting, index))
            && (auto?.Contains(index) ?? (index < asked.Phases.Count && asked.Phases[index].Precision == PhasePrecision.Auto));
    }

    private static Phase Open(Phase phase) => phase with { Precision = PhasePrecision.Auto };

    /// <summary>Whether a setting says in which precision a phase computes.</summary>
    private static bool Sets(string setting, int phase) =>
        setting.Split('=')[0].Trim() is var key && (key == "phases" || key == $"phases[{phase}]" || key == $"phases[{phase}].precision");

    /// <summary>A run's recipe as JSON, without the labels that it found in its data.</summary>
    private static JsonObject Comparable(Recipe own, Recipe asked)
    {
        var json = RecipeJson.Parse(own.ToJson(), "recipe");
        if (asked.Model.Head is LabelHeadOptions { Labels: null } && json["model"]?["head"] is JsonObject head) head.Remove("labels");
        return json;
    }

    private static string Describe(RunFolder folder, List<(string Path, JsonNode? Own, JsonNode? Asked)> differences)
    {
        var told = differences.Take(Told).Select(one => $"{one.Path} is {Word(one.Own)}, not {Word(one.Asked)}");
        var more = differences.Count > Told ? $"; and {differences.Count - Told} more" : "";
        return $"the run goes on with its own recipe, {folder.Recipe}, in which {string.Join("; ", told)}{more}; "
            + "how long its phases last can be changed with --set";
    }

    private static string Word(JsonNode? value)
    {
        const int Longest = 60;
        var text = value?.ToJsonString() ?? "left out";
        return text.Length <= Longest ? text : text[..Longest] + "…";
    }

    private static IEnumerable<(string Path, JsonNode? Own, JsonNode? Asked)> Differences(JsonNode? own, JsonNode? asked, string path = "")
    {
        if (JsonNode.DeepEquals(own, asked)) return [];
        return (own, asked) switch
        {
            (JsonObject one, JsonObject other) => one.Select(member => member.Key).Union(other.Select(member => member.Key))
                .SelectMany(key => Differences(one[key], other[key], path.Length == 0 ? key : $"{path}.{key}")),
            (JsonArray one, JsonArray other) when one.Count == other.Count => Enumerable.Range(0, one.Count)
                .SelectMany(index => Differences(one[index], other[index], $"{path}[{index}]")),
            _ => [(path, own, asked)],
        };
    }
}
