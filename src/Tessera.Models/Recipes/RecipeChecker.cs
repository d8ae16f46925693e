using System.ComponentModel;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
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

    /// <summary>Throws for the first thing in <paramref name="json"/> that a <paramref name="type"/> cannot be.</summary>
    public void Check(JsonElement json, Type type, string path)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (json.ValueKind == JsonValueKind.Null) return; // whether null is allowed is the property's matter
        var info = types.Info(type);
        switch (info.Kind)
        {
            case JsonTypeInfoKind.Object:
                if (json.ValueKind == JsonValueKind.String && Parts.IsGroup(type)) throw NoKind(json, type, path, ", or an object { … }");
                Require(json, JsonValueKind.Object, path, "an object { … }");
                CheckObject(json, info, path);
                break;
            case JsonTypeInfoKind.Enumerable:
                Require(json, JsonValueKind.Array, path, "a list [ … ]");
                var index = 0;
                foreach (var item in json.EnumerateArray()) CheckItem(item, info.ElementType!, $"{path}[{index++}]");
                break;
            case JsonTypeInfoKind.Dictionary:
                Require(json, JsonValueKind.Object, path, "an object { … }");
                foreach (var item in json.EnumerateObject()) CheckItem(item.Value, info.ElementType!, FullForm.Join(path, item.Name));
                break;
            default:
                CheckValue(json, type, path);
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

    private void CheckItem(JsonElement json, Type type, string path)
    {
        if (json.ValueKind == JsonValueKind.Null) throw new RecipeException(path, $"is null; expected {Describe(type)}");
        Check(json, type, path);
    }

    private void CheckObject(JsonElement json, JsonTypeInfo info, string path)
    {
        var isPart = Parts.IsGroup(info.Type);
        var keys = types.Properties(isPart ? PartOf(json, info.Type, path) : info.Type).ToDictionary(property => property.Name);
        var found = new HashSet<string>();
        foreach (var member in json.EnumerateObject())
        {
            var place = FullForm.Join(path, member.Name);
            found.Add(member.Name);
            if (isPart && member.Name == "kind") continue;
            if (!keys.TryGetValue(member.Name, out var property))
            {
                var allowed = isPart ? keys.Keys.Prepend("kind") : keys.Keys;
                throw new RecipeException(place, $"is not a key here; allowed: {string.Join(", ", allowed)}");
            }

            if (member.Value.ValueKind == JsonValueKind.Null && !MayBeNull(property))
                throw new RecipeException(place, $"is null; expected {Describe(property.PropertyType)}");
            Check(member.Value, property.PropertyType, place);
        }

        foreach (var (name, property) in keys)
        {
            var required = property.IsRequired || property.AssociatedParameter is { HasDefaultValue: false };
            if (required && !found.Contains(name))
                throw new RecipeException(FullForm.Join(path, name), $"is missing; expected {Describe(property.PropertyType)}");
        }
    }

    private static bool MayBeNull(JsonPropertyInfo property) => property.IsSetNullable || property.AssociatedParameter?.IsNullable == true;

    private static Type PartOf(JsonElement json, Type group, string path)
    {
        path = FullForm.Join(path, "kind");
        if (!json.TryGetProperty("kind", out var kind))
            throw new RecipeException(path, $"is missing; allowed: {Names(group)}");
        var record = kind.ValueKind == JsonValueKind.String ? RecipeTypes.Part(group, kind.GetString()) : null;
        return record ?? throw NoKind(kind, group, path);
    }

    private void CheckValue(JsonElement json, Type type, string path)
    {
        try
        {
            json.Deserialize(type, types.Options);
        }
        catch (JsonException error)
        {
            // A type that reads itself knows best what is wrong with a text of the right sort.
            var readsItself = !type.IsEnum && type.IsDefined(typeof(JsonConverterAttribute), inherit: false);
            if (readsItself && error.InnerException is FormatException or ArgumentException)
                throw new RecipeException(path, error.InnerException.Message.Split(" (Parameter")[0]);
            throw new RecipeException(
                path, readsItself && Says(type) is null ? error.Message : $"is {Shorten(json.GetRawText())}; expected {Describe(type)}");
        }
    }

    /// <summary>What a type that reads itself says is expected of a recipe.</summary>
    public static string? Says(Type type) => type.GetCustomAttribute<DescriptionAttribute>()?.Description;

    private static void Require(JsonElement json, JsonValueKind kind, string path, string expected)
    {
        if (json.ValueKind != kind) throw new RecipeException(path, $"is {Shorten(json.GetRawText())}; expected {expected}");
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
