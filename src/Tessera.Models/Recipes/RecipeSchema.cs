using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using Tessera.Nn;
using Tessera.Nn.Blocks;

namespace Tessera.Models.Recipes;

/// <summary>The JSON schema of a record, for editors: where a part is expected, an object of one of its kinds or the word for
/// one.</summary>
internal static class RecipeSchema
{
    public static JsonNode Of(Type type) => RecipeTypes.Current.Options.GetJsonSchemaAsNode(
        type, new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = AddWords });

    private static JsonNode AddWords(JsonSchemaExporterContext context, JsonNode schema)
    {
        if (context.TypeInfo.Type == typeof(LayerPattern))
        {
            return new JsonObject
            {
                ["type"] = new JsonArray("integer", "string"), ["description"] = RecipeChecker.Says(typeof(LayerPattern)),
            };
        }

        if (!Parts.IsGroup(context.TypeInfo.Type) || schema is not JsonObject group || group["anyOf"] is not JsonArray kinds) return schema;
        var words = new JsonArray();
        foreach (var kind in kinds.OfType<JsonObject>())
        {
            if (!kind.ContainsKey("type")) kind.Insert(0, "type", "object");
            if (!kind.ContainsKey("required") && kind["properties"]?["kind"]?["const"] is { } name) words.Add(name.DeepClone());
        }

        if (group["type"] is JsonArray) words.Add(null); // an object or null
        group.Remove("type");
        if (words.Count > 0) kinds.Add(new JsonObject { ["enum"] = words });
        return group;
    }
}
