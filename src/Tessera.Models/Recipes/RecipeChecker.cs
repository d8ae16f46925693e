using System.ComponentModel;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Tessera.Models.Formats;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>Walks a recipe beside the records it is to become and finds what does not fit, with its path.</summary>
internal sealed class RecipeChecker(RecipeTypes types)
{
    /// <summary>Throws for the first key that an object has twice, of which a tree could keep only one.</summary>
    public static void RequireUniqueKeys(JsonElement json, string path)
    {
        if (json.ValueKind == JsonValueKind.Array)
        {
            var index = 0;
            foreach (var item in json.EnumerateArray()) RequireUniqueKeys(item, $"{path}[{index++}]");
        }
        else if (json.ValueKind == JsonValueKind.Object)
        {
            var found = new HashSet<string>();
            foreach (var member in json.EnumerateObject())
            {
                if (!found.Add(member.Name)) throw new RecipeException(FullForm.Join(path, member.Name), "appears twice");
                RequireUniqueKeys(member.Value, FullForm.Join(path, member.Name));
            }
        }
    }

    /// <summary>Throws for what in <paramref name="json"/> a <paramref name="type"/> cannot be: all of it at once.</summary>
    public void Check(JsonElement json, Type type, string path)
    {
        var problems = new List<RecipeException>();
        Check(json, type, path, problems);
        if (problems.Count > 0) throw problems.Count == 1 ? problems[0] : new RecipeException(problems);
    }

    private void Check(JsonElement json, Type type, string path, List<RecipeException> problems)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (json.ValueKind == JsonValueKind.Null) return; // whether null is allowed is the property's matter
        var info = types.Info(type);
        switch (info.Kind)
        {
            case JsonTypeInfoKind.Object:
                if (json.ValueKind == JsonValueKind.String && Parts.IsGroup(type))
                    problems.Add(NoKind(json, type, path, ", or an object { … }"));
                else if (Is(json, JsonValueKind.Object, path, "an object { … }", problems)) CheckObject(json, info, path, problems);
                break;
            case JsonTypeInfoKind.Enumerable:
                if (!Is(json, JsonValueKind.Array, path, "a list [ … ]", problems)) break;
                var index = 0;
                foreach (var item in json.EnumerateArray()) CheckItem(item, info.ElementType!, $"{path}[{index++}]", problems);
                break;
            case JsonTypeInfoKind.Dictionary:
                if (!Is(json, JsonValueKind.Object, path, "an object { … }", problems)) break;
                foreach (var item in json.EnumerateObject())
                    CheckItem(item.Value, info.ElementType!, FullForm.Join(path, item.Name), problems);
                break;
            default:
                CheckValue(json, type, path, problems);
                break;
        }
    }

    /// <summary>Whether a value is one that an option may have.</summary>
    public bool Accepts(JsonNode? value, JsonPropertyInfo property)
    {
        if (value is null) return MayBeNull(property);
        try
        {
            Check(JsonSerializer.SerializeToElement(value), property.PropertyType, "");
            return true;
        }
        catch (RecipeException)
        {
            return false;
        }
    }

    /// <summary>Complains of a kind that a group does not have.</summary>
    public static RecipeException NoKind(JsonElement found, Type group, string path, string otherwise = "")
    {
        var moved = found.ValueKind == JsonValueKind.String ? FormerNames.Moved(group, found.GetString()!) : null;
        return new(path, moved is null
            ? $"is {Shorten(found.GetRawText())}; allowed: {Names(group)}{otherwise}"
            : $"is \"{moved.Kind}\", a kind of {moved.Assembly}; call {moved.Registration} before a recipe is read");
    }

    private static string Names(Type group) => string.Join(", ", Parts.Kinds(group).Select(kind => kind.Name));

    private void CheckItem(JsonElement json, Type type, string path, List<RecipeException> problems)
    {
        if (json.ValueKind == JsonValueKind.Null) problems.Add(new RecipeException(path, $"is null; expected {Describe(type)}"));
        else Check(json, type, path, problems);
    }

    private void CheckObject(JsonElement json, JsonTypeInfo info, string path, List<RecipeException> problems)
    {
        var isPart = Parts.IsGroup(info.Type);
        if ((isPart ? PartOf(json, info.Type, path, problems) : info.Type) is not { } record) return;
        var keys = types.Properties(record).ToDictionary(property => property.Name);
        var (found, before) = (new HashSet<string>(), problems.Count);
        foreach (var member in json.EnumerateObject())
        {
            var place = FullForm.Join(path, member.Name);
            found.Add(member.Name);
            if (isPart && member.Name == "kind") continue;
            if (!keys.TryGetValue(member.Name, out var property)) problems.Add(NoKey(member, record, isPart, keys.Keys, place));
            else if (member.Value.ValueKind == JsonValueKind.Null && !MayBeNull(property))
                problems.Add(new RecipeException(place, $"is null; expected {Describe(property.PropertyType)}"));
            else Check(member.Value, property.PropertyType, place, problems);
        }

        foreach (var (name, property) in keys)
        {
            var required = property.IsRequired || property.AssociatedParameter is { HasDefaultValue: false };
            if (required && !found.Contains(name))
                problems.Add(new RecipeException(FullForm.Join(path, name), $"is missing; expected {Describe(property.PropertyType)}"));
        }

        if (problems.Count == before) CheckRange(json, info.Type, path, problems);
    }

    /// <summary>A record may check its numbers itself.</summary>
    private void CheckRange(JsonElement json, Type type, string path, List<RecipeException> problems)
    {
        try
        {
            json.Deserialize(type, types.Options);
        }
        catch (ArgumentOutOfRangeException error)
        {
            var (name, says) = (error.ParamName ?? "", error.Message.Split(" (Parameter")[0]);
            var key = JsonNamingPolicy.CamelCase.ConvertName(name);
            if (name.Length > 0) says = says.Replace(name, key, StringComparison.Ordinal);
            problems.Add(new RecipeException(key.Length == 0 ? path : FullForm.Join(path, key), $"is {error.ActualValue}; {says}"));
        }
        catch (JsonException)
        {
            // What else may be wrong is found where the whole is read.
        }
    }

    private static RecipeException NoKey(
        JsonProperty member, Type record, bool isPart, IEnumerable<string> keys, string place) =>
        member.Name == "kind" && Parts.KindOf(record) is { } only
            ? new(place, $"is {Shorten(member.Value.GetRawText())}; allowed: {only}")
            : new(place, $"is not a key here; allowed: {string.Join(", ", isPart ? keys.Prepend("kind") : keys)}");

    private static bool MayBeNull(JsonPropertyInfo property) => property.IsSetNullable || property.AssociatedParameter?.IsNullable == true;

    private static Type? PartOf(JsonElement json, Type group, string path, List<RecipeException> problems)
    {
        path = FullForm.Join(path, "kind");
        if (!json.TryGetProperty("kind", out var kind))
        {
            problems.Add(new RecipeException(path, $"is missing; allowed: {Names(group)}"));
            return null;
        }

        var record = kind.ValueKind == JsonValueKind.String ? RecipeTypes.Part(group, kind.GetString()) : null;
        if (record is null) problems.Add(NoKind(kind, group, path));
        return record;
    }

    private void CheckValue(JsonElement json, Type type, string path, List<RecipeException> problems)
    {
        try
        {
            json.Deserialize(type, types.Options);
        }
        catch (JsonException error)
        {
            // A type that reads itself knows best what is wrong with a text of the right sort.
            var readsItself = !type.IsEnum && type.IsDefined(typeof(JsonConverterAttribute), inherit: false);
            var says = readsItself && error.InnerException is FormatException or ArgumentException
                ? error.InnerException!.Message.Split(" (Parameter")[0]
                : readsItself && Says(type) is null ? JsonTexts.Reason(error)
                : $"is {Shorten(json.GetRawText())}; expected {Describe(type)}";
            problems.Add(new RecipeException(path, says));
        }
    }

    /// <summary>What a type that reads itself says is expected of a recipe.</summary>
    public static string? Says(Type type) => type.GetCustomAttribute<DescriptionAttribute>()?.Description;

    private static bool Is(JsonElement json, JsonValueKind kind, string path, string expected, List<RecipeException> problems)
    {
        if (json.ValueKind != kind) problems.Add(new RecipeException(path, $"is {Shorten(json.GetRawText())}; expected {expected}"));
        return json.ValueKind == kind;
    }

    private string Describe(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(string)) return "a text";
        if (type == typeof(bool)) return "true or false";
        if (type == typeof(int) || type == typeof(long) || type == typeof(ulong)) return "a whole number";
        if (type == typeof(float) || type == typeof(double)) return "a number";
        if (type.IsEnum) return $"one of {string.Join(", ", Enum.GetValues(type).Cast<object>().Select(NameOf))}";
        return Says(type) ?? (types.Info(type).Kind == JsonTypeInfoKind.Enumerable ? "a list [ … ]" : "an object { … }");
    }

    private string? NameOf(object value) => JsonSerializer.SerializeToElement(value, value.GetType(), types.Options).GetString();

    public static string Shorten(string text) => text.Length <= 60 ? text : text[..60] + "…";
}
