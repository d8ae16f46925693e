using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>Changes to a recipe given as text: <c>model.decoder.attention.heads=8</c>, <c>phases[0].minutes=2</c>.</summary>
public static class RecipeSettings
{
    /// <summary>Sets one value. What reads as JSON is taken as JSON, anything else as a text. Setting a <c>kind</c> drops the
    /// part's other options, which belonged to the old kind, unless they are set again.</summary>
    /// <exception cref="RecipeException">The setting has no <c>=</c>, or its path leads nowhere.</exception>
    public static void Apply(JsonObject recipe, string setting)
    {
        var equals = setting.IndexOf('=');
        if (equals <= 0) throw new RecipeException($"--set {setting}", "is not of the form path=value");
        var (path, value) = (setting[..equals].Trim(), ValueOf(setting[(equals + 1)..].Trim()));
        var keys = path.Replace("[", ".", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Split('.');
        if (keys.Contains("")) throw new RecipeException(path, "leads nowhere: there is no ''");
        JsonNode node = recipe;
        foreach (var key in keys[..^1]) node = Descend(node, key, path);
        Set(node, keys[^1], value, path);
    }

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

    private static JsonNode Descend(JsonNode node, string key, string path) => node switch
    {
        JsonObject parent => parent[key] ??= new JsonObject(),
        JsonArray list when Index(list, key) is { } index && list[index] is { } item => item,
        _ => throw new RecipeException(path, $"leads nowhere: there is no '{key}'"),
    };

    private static void Set(JsonNode node, string key, JsonNode? value, string path)
    {
        switch (node)
        {
            case JsonObject parent:
                if (key == "kind" && parent["kind"]?.ToJsonString() != value?.ToJsonString()) parent.Clear();
                parent[key] = value;
                break;
            case JsonArray list when Index(list, key) is { } index:
                list[index] = value;
                break;
            default:
                throw new RecipeException(path, $"leads nowhere: there is no '{key}'");
        }
    }

    private static int? Index(JsonArray list, string key) =>
        int.TryParse(key, out var index) && index >= 0 && index < list.Count ? index : null;
}
