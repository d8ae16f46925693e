using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Tessera.Nn;
using Tessera.Nn.Blocks;

namespace Tessera.Models.Recipes;

/// <summary>The JSON schema of a record, for editors: where a part is expected, an object of one of its kinds or the word for
/// one.</summary>
internal static class RecipeSchema
{
    /// <summary>The schema of a type.</summary>
    /// <param name="type">The record.</param>
    /// <param name="describe">What a record is, or an option of a record by its name in code; empty where nothing is known. Nothing is
    /// described where null.</param>
    public static JsonNode Of(Type type, Func<Type, string?, string>? describe = null) => RecipeTypes.Current.Options.GetJsonSchemaAsNode(
        type, new JsonSchemaExporterOptions
        {
            TreatNullObliviousAsNonNullable = true,
            TransformSchemaNode = (context, schema) => Described(context, AddWords(context, schema), describe),
        });

    private static JsonNode Described(JsonSchemaExporterContext context, JsonNode schema, Func<Type, string?, string>? describe)
    {
        if (describe is null) return schema;
        var node = schema as JsonObject ?? []; // what allows everything is written true
        var option = context.PropertyInfo;
        var name = (option?.AttributeProvider as MemberInfo)?.Name;
        var text = option is not null && name is not null ? describe(option.DeclaringType, name)
            : context.TypeInfo.Kind == JsonTypeInfoKind.Object ? describe(context.TypeInfo.Type, null) : "";
        if (text.Length == 0) return schema;
        node.Remove("description");
        node.Insert(0, "description", text.Replace("`", "", StringComparison.Ordinal));
        return node;
    }

    private static JsonNode AddWords(JsonSchemaExporterContext context, JsonNode schema)
    {
        if (context.TypeInfo.Type == typeof(LayerPattern))
        {
            return new JsonObject
            {
                ["type"] = new JsonArray("integer", "string"), ["description"] = RecipeChecker.Says(typeof(LayerPattern)),
            };
        }

        if (FullForm.OnlyKind(context.TypeInfo.Type) is { } only
            && schema is JsonObject && schema["properties"] is JsonObject options && !options.ContainsKey("kind"))
            options.Insert(0, "kind", new JsonObject { ["const"] = only });
        if (!Parts.IsGroup(context.TypeInfo.Type) || schema is not JsonObject group || group["anyOf"] is not JsonArray kinds) return schema;
        var words = new JsonArray();
        foreach (var kind in kinds.OfType<JsonObject>())
        {
            if (!kind.ContainsKey("type")) kind.Insert(0, "type", "object");
            if (!kind.ContainsKey("required") && kind["properties"]?["kind"]?["const"] is { } name) words.Add(name.DeepClone());
        }

        if (context.PropertyInfo is { } option && RecipeTypes.DefaultKind(option.DeclaringType, option) is { } usual)
            LeaveUnsaid(group, kinds, usual);
        if (group["type"] is JsonArray) words.Add(null); // an object or null
        group.Remove("type");
        if (words.Count > 0) kinds.Add(new JsonObject { ["enum"] = words });
        return group;
    }

    /// <summary>Where there is a usual kind, an object is of that one unless it says otherwise.</summary>
    private static void LeaveUnsaid(JsonObject group, JsonArray kinds, string usual)
    {
        group.Remove("required");
        foreach (var kind in kinds.OfType<JsonObject>().Where(kind => (string?)kind["properties"]?["kind"]?["const"] != usual))
        {
            if (kind["required"] is JsonArray required) required.Insert(0, "kind");
            else kind["required"] = new JsonArray("kind");
        }
    }
}
