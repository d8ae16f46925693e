using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>Writes out what a recipe may say shorter or as it was said before: a word becomes the object of that kind, former names become
/// the present ones. What it does not understand it leaves for <see cref="RecipeChecker"/> to complain about.</summary>
internal sealed class FullForm(RecipeTypes types, FormerNames former)
{
    /// <summary>The full form of a value. The tree itself is changed.</summary>
    /// <param name="node">The value.</param>
    /// <param name="type">What it is to become.</param>
    /// <param name="path">Its place, for messages.</param>
    /// <exception cref="RecipeException">A former name and the present one stand side by side.</exception>
    public JsonNode? Of(JsonNode? node, Type type, string path)
    {
        if (node is null) return null;
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (RecipeTypes.Word(node) is { } word)
        {
            if (IsKind(type, word)) node = new JsonObject { ["kind"] = word };
            else if (OnlyKind(type) == word) node = new JsonObject();
        }

        switch (node)
        {
            case JsonObject json when types.ItemOf(type) is { } item:
                foreach (var key in Keys(json)) Replace(json, key, item, Join(path, key));
                break;
            case JsonObject json:
                if (RecipeTypes.Word(json["kind"]) is { } kind && OnlyKind(type) == kind) json.Remove("kind");
                WriteOut(json, type, path);
                break;
            case JsonArray list when types.ItemOf(type) is { } item:
                for (var index = 0; index < list.Count; index++)
                    if (Of(list[index], item, $"{path}[{index}]") is var full && full != list[index]) list[index] = full;
                break;
        }

        return node;
    }

    /// <summary>A path and a key below it.</summary>
    public static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    /// <summary>Gives a part the present name of a former kind, and what that kind said besides.</summary>
    public static void Rename(JsonObject part, FormerKind kind)
    {
        part["kind"] = kind.Now;
        foreach (var (path, word) in kind.With)
            if (Parent(part, path, out var key) is { } parent && !parent.ContainsKey(key)) parent[key] = word;
    }

    /// <summary>The kind that a part has where only one is allowed, so that it need not be said; null of other types.</summary>
    public static string? OnlyKind(Type type) => Parts.IsGroup(type) ? null : Parts.KindOf(type);

    private bool IsKind(Type type, string word) =>
        Parts.IsGroup(type) && (RecipeTypes.Part(type, word) is not null || former.Kind(type, word) is not null);

    private void WriteOut(JsonObject json, Type type, string path)
    {
        if (Parts.IsGroup(type) && former.Kind(type, RecipeTypes.Word(json["kind"])) is { } kind) Rename(json, kind);
        if (types.RecordOf(json, type) is not { } record || types.Info(record).Kind != JsonTypeInfoKind.Object) return;
        foreach (var key in former.KeysOf(record))
            if (json.ContainsKey(key.Former)) Move(json, key, path);
        foreach (var key in Keys(json))
        {
            if (types.Property(record, key) is not { } property) continue;
            // A part that does not say its kind is of the one that it is where nothing is said of it.
            if (json[key] is JsonObject part && !part.ContainsKey("kind") && RecipeTypes.DefaultKind(record, property) is { } usual)
                part.Insert(0, "kind", usual);
            Replace(json, key, property.PropertyType, Join(path, key));
        }
    }

    private void Replace(JsonObject json, string key, Type type, string path)
    {
        if (Of(json[key], type, path) is var full && full != json[key]) json[key] = full;
    }

    private static void Move(JsonObject json, FormerKey key, string path)
    {
        var value = json[key.Former];
        json.Remove(key.Former);
        var parent = Parent(json, key.Now, out var last);
        if (parent.ContainsKey(last))
            throw new RecipeException(Join(path, key.Former), $"is the former name of {key.Now}, which is there too");
        parent[last] = value;
    }

    /// <summary>The object that holds what a path leads to, made where it is missing.</summary>
    private static JsonObject Parent(JsonObject json, string path, out string key)
    {
        var keys = path.Split('.');
        foreach (var above in keys[..^1])
        {
            if (json[above] is not JsonObject below) json[above] = below = [];
            json = below;
        }

        key = keys[^1];
        return json;
    }

    private static List<string> Keys(JsonObject json) => json.Select(member => member.Key).ToList();
}
