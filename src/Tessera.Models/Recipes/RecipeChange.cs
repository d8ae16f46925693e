using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>Makes settings in a recipe of full form, walking it beside the records that it is to become.</summary>
internal sealed class RecipeChange(RecipeTypes types, FormerNames former)
{
    private readonly FullForm _fullForm = new(types, former);
    private readonly RecipeChecker _checker = new(types);
    private readonly List<string> _notes = [];

    /// <summary>What was dropped, a line for each part that was swapped.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Makes one setting.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="type">What it is to become.</param>
    /// <param name="setting">The setting.</param>
    /// <exception cref="RecipeException">Its path leads nowhere, or it names a kind that its group does not have.</exception>
    public void Make(JsonObject recipe, Type type, RecipeSetting setting)
    {
        JsonNode node = recipe;
        Type? declared = type;
        var keys = new Stack<string>(setting.Keys.Reverse());
        while (true)
        {
            var key = keys.Pop();
            var record = node is JsonObject json && declared is not null ? types.RecordOf(json, declared) : null;
            if (Present(record, key) is { } present)
            {
                foreach (var now in present.Split('.').Reverse()) keys.Push(now);
                continue;
            }

            if (keys.Count == 0)
            {
                Set(node, declared, record, key, setting);
                return;
            }

            node = Descend(node, record, key, setting.Path);
            declared = types.Property(record, key)?.PropertyType ?? types.ItemOf(declared);
        }
    }

    /// <summary>What a key of a record is called now; null where it is called so.</summary>
    private string? Present(Type? record, string key) => record is null || types.Property(record, key) is not null
        ? null
        : former.KeysOf(record).FirstOrDefault(own => own.Former == key)?.Now;

    private JsonNode Descend(JsonNode node, Type? record, string key, string path) => node switch
    {
        JsonObject parent => parent[key] ??= Begun(record, key),
        JsonArray list when Index(list, key) is { } index && list[index] is { } item => item,
        _ => throw Nowhere(path, key),
    };

    /// <summary>An object of which the recipe said nothing: of the kind that it is then.</summary>
    private JsonObject Begun(Type? record, string key) =>
        types.Property(record, key) is { } property && RecipeTypes.DefaultKind(record!, property) is { } kind
            ? new JsonObject { ["kind"] = kind }
            : [];

    private void Set(JsonNode node, Type? declared, Type? record, string key, RecipeSetting setting)
    {
        switch (node)
        {
            case JsonObject part when key == "kind" && declared is not null && Parts.IsGroup(declared):
                Swap(part, declared, setting);
                break;
            case JsonObject when key == "kind" && declared is not null && FullForm.OnlyKind(declared) is { } only:
                if (RecipeTypes.Word(setting.Value) != only)
                    throw new RecipeException(setting.Path, $"is {setting.Value?.ToJsonString() ?? "null"}; allowed: {only}");
                break;
            case JsonObject parent:
                var expected = types.Property(record, key)?.PropertyType ?? types.ItemOf(declared);
                SetAt(expected, parent[key], value => parent[key] = value, setting);
                break;
            case JsonArray list when Index(list, key) is { } index:
                SetAt(types.ItemOf(declared), list[index], value => list[index] = value, setting);
                break;
            default:
                throw Nowhere(setting.Path, key);
        }
    }

    private void SetAt(Type? declared, JsonNode? before, Action<JsonNode?> set, RecipeSetting setting)
    {
        if (declared is not null && Parts.IsGroup(declared) && RecipeTypes.Word(setting.Value) is not null)
        {
            var part = before as JsonObject ?? [];
            Swap(part, declared, setting);
            if (before is not JsonObject) set(part);
            return;
        }

        set(declared is null ? setting.Value : _fullForm.Of(setting.Value, declared, setting.Path));
    }

    /// <summary>Makes a part one of another kind.</summary>
    private void Swap(JsonObject part, Type group, RecipeSetting setting)
    {
        var (kind, path) = (RecipeTypes.Word(setting.Value), setting.PartPath);
        var renamed = former.Kind(group, kind);
        kind = renamed?.Now ?? kind;
        if (RecipeTypes.Part(group, kind) is not { } record)
            throw RecipeChecker.NoKind(JsonSerializer.SerializeToElement(setting.Value), group, setting.Path);
        if (RecipeTypes.Word(part["kind"]) is { } before && before != kind)
            DropOptions(part, RecipeTypes.Part(group, before), record, $"{path} is now {kind}");
        if (part.ContainsKey("kind")) part["kind"] = kind;
        else part.Insert(0, "kind", kind);
        if (renamed is null) return;
        FullForm.Rename(part, renamed);
        _fullForm.Of(part, group, path);
    }

    /// <summary>Takes away what another record has no option for, or whose value it does not take.</summary>
    private void DropOptions(JsonObject part, Type? before, Type record, string headline)
    {
        var dropped = new List<string>();
        foreach (var (key, value) in part.Where(member => member.Key != "kind").ToList())
        {
            part.Remove(key);
            var option = types.Property(record, key);
            var carried = option is null ? value : Carried(value, types.Property(before, key)?.PropertyType, option.PropertyType);
            if (option is not null && _checker.Accepts(carried, option)) part[key] = carried;
            else dropped.Add($"{key} ({RecipeChecker.Shorten(value?.ToJsonString() ?? "null")})");
        }

        if (dropped.Count > 0) _notes.Add($"{headline}, which does not take {string.Join(", ", dropped)}; dropped");
    }

    /// <summary>A value as another option says it: where one expects a part of a single kind, that kind goes unsaid.</summary>
    private static JsonNode? Carried(JsonNode? value, Type? from, Type to)
    {
        if (value is not JsonObject part) return value;
        if (!Parts.IsGroup(to) && Parts.KindOf(to) is { } only && RecipeTypes.Word(part["kind"]) == only)
            part.Remove("kind");
        else if (Parts.IsGroup(to) && !part.ContainsKey("kind") && from is not null && Parts.KindOf(from) is { } kind)
            part.Insert(0, "kind", kind);
        return part;
    }

    private static RecipeException Nowhere(string path, string key) => new(path, $"leads nowhere: there is no '{key}'");

    private static int? Index(JsonArray list, string key) =>
        int.TryParse(key, out var index) && index >= 0 && index < list.Count ? index : null;
}
