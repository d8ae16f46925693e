using System.Reflection;
using Tessera.Cli.Commands;
using Tessera.Models.Recipes;
using Tessera.Training;

namespace Tessera.Cli;

/// <summary>The recipes that are part of the program.</summary>
internal static class Recipes
{
    /// <summary><c>recipes/quickstart.json</c>.</summary>
    /// <param name="settings">Changes to it, as <c>--set</c> takes them.</param>
    public static Recipe Quickstart(IReadOnlyList<string> settings)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("quickstart.json")!;
        using var reader = new StreamReader(stream);
        return Recipe.Read(RecipeJson.Parse(reader.ReadToEnd(), "quickstart.json"), settings, note: CommonOptions.Note);
    }
}
