using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>A change to a recipe: <c>path=value</c>.</summary>
/// <param name="Path">As it was written.</param>
/// <param name="Keys">The keys and indices on the way.</param>
/// <param name="Value">What reads as JSON as JSON, anything else as a text.</param>
internal sealed record RecipeSetting(string Path, string[] Keys, JsonNode? Value)
{
    /// <summary>The keys on the way to the part whose kind this may set; null where it sets something else.</summary>
    private string[]? Part => Keys[^1] == "kind" ? Keys[..^1] : RecipeTypes.Word(Value) is not null ? Keys : null;

    /// <summary>The path of that part, as it was written.</summary>
    public string PartPath => Path.EndsWith(".kind", StringComparison.Ordinal) ? Path[..^".kind".Length] : Path;

    /// <summary>Reads a setting.</summary>
    /// <exception cref="RecipeException">It has no <c>=</c>, or its path an empty key.</exception>
    public static RecipeSetting Parse(string text)
    {
        var equals = text.IndexOf('=');
        if (equals <= 0) throw new RecipeException($"--set {text}", "is not of the form path=value");
        var path = text[..equals].Trim();
        var keys = path.Replace("[", ".", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Split('.');
        if (keys.Contains("")) throw new RecipeException(path, "leads nowhere: there is no ''");
        return new RecipeSetting(path, keys, ValueOf(text[(equals + 1)..].Trim()));
    }

    /// <summary>Settings in the order in which they are to be made: as given, but a part's kind before its options, since only then it is
    /// known which options those are.</summary>
    public static IReadOnlyList<RecipeSetting> InOrder(IEnumerable<RecipeSetting> settings)
    {
        var ordered = new List<RecipeSetting>();
        foreach (var setting in settings)
        {
            var at = ordered.Count;
            if (setting.Part is { } part)
            {
                // After what sets the part itself or what it is in, before what sets something below it.
                var first = ordered.FindLastIndex(earlier => IsPrefix(earlier.Part ?? earlier.Keys, part)) + 1;
                var below = ordered.FindIndex(first, earlier => IsPrefix(part, earlier.Keys));
                if (below >= 0) at = below;
            }

            ordered.Insert(at, setting);
        }

        return ordered;
    }

    private static bool IsPrefix(string[] above, string[] keys) =>
        above.Length <= keys.Length && keys.AsSpan(0, above.Length).SequenceEqual(above);

    private static JsonNode? ValueOf(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return JsonValue.Create(text);
        }
    }
}
