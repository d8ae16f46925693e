using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>
/// Reads and writes option records as JSON: one object a part, <c>kind</c> naming it, options beside it in camel case. A word stands for a
/// part of that kind with its defaults, <c>"norm": "layer"</c>; names of earlier versions are understood.
/// What a record does not have is an error, and every error names its place (<c>model.decoder.attention.heads</c>), what
/// was found there and what is allowed.
/// </summary>
public static class RecipeJson
{
    /// <summary>Reads a record from a file.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="RecipeException">It is not JSON, or not such a record.</exception>
    public static T ReadFile<T>(string path)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"there is no recipe '{path}'", path);
        return Read<T>(Parse(File.ReadAllText(path), path));
    }

    /// <summary>The JSON tree of a recipe's text.</summary>
    /// <param name="text">The recipe.</param>
    /// <param name="source">The file it came from, for error messages.</param>
    /// <exception cref="RecipeException">It is not a JSON object, or a key appears twice in one.</exception>
    public static JsonObject Parse(string text, string source)
    {
        var reading = new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };
        try
        {
            using var document = JsonDocument.Parse(text, reading);
            JsonTexts.RequireUnicode(document.RootElement);
            RecipeChecker.RequireUniqueKeys(document.RootElement, "");
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? JsonObject.Create(document.RootElement.Clone())!
                : throw new RecipeException(source, "is not a JSON object");
        }
        catch (JsonException error)
        {
            throw new RecipeException(
                $"{source}({error.LineNumber + 1},{error.BytePositionInLine + 1})", $"is not valid JSON here: {JsonTexts.Reason(error)}");
        }
        catch (InvalidOperationException)
        {
            throw new RecipeException(source, JsonTexts.NotUnicode);
        }
    }

    /// <summary>The path of the first value in which two recipes differ; null where they are alike.</summary>
    public static string? FirstDifference(JsonNode? left, JsonNode? right, string path = "")
    {
        if (JsonNode.DeepEquals(left, right)) return null;
        var difference = (left, right) switch
        {
            (JsonObject one, JsonObject other) => one.Select(member => member.Key).Union(other.Select(member => member.Key))
                .Select(key => FirstDifference(one[key], other[key], path.Length == 0 ? key : $"{path}.{key}"))
                .FirstOrDefault(found => found is not null),
            (JsonArray one, JsonArray other) when one.Count == other.Count => Enumerable.Range(0, one.Count)
                .Select(index => FirstDifference(one[index], other[index], $"{path}[{index}]"))
                .FirstOrDefault(found => found is not null),
            _ => null,
        };
        return difference ?? path;
    }

    /// <summary>Reads a record from a JSON tree.</summary>
    /// <exception cref="RecipeException">The tree is not such a record.</exception>
    public static T Read<T>(JsonObject json)
    {
        var types = RecipeTypes.Current;
        var full = new FullForm(types, FormerNames.OfRecipes).Of(json.DeepClone(), typeof(T), "")!;
        using var document = JsonDocument.Parse(full.ToJsonString());
        new RecipeChecker(types).Check(document.RootElement, typeof(T), "");
        try
        {
            return document.RootElement.Deserialize<T>(types.Options)!;
        }
        catch (JsonException error)
        {
            throw new RecipeException((error.Path ?? "").TrimStart('$', '.'), error.InnerException?.Message ?? JsonTexts.Reason(error));
        }
    }

    /// <summary>Writes a record, readable by <see cref="Read"/>.</summary>
    public static string Write<T>(T record) => JsonSerializer.Serialize(record, RecipeTypes.Current.Options);

    /// <summary>A record as a tree.</summary>
    public static JsonObject Tree<T>(T record) => JsonSerializer.SerializeToNode(record, RecipeTypes.Current.Options)!.AsObject();

    /// <summary>A JSON schema of such a record, so that editors complete and check it.</summary>
    /// <param name="describe">What a record is, or one of its options by its name in code; empty where nothing is known.</param>
    public static JsonNode Schema<T>(Func<Type, string?, string>? describe = null) => RecipeSchema.Of(typeof(T), describe);

    /// <summary>A record of which nothing is said: options have their defaults, and what is required is empty.</summary>
    /// <param name="record">A record of options.</param>
    public static object Unsaid(Type record) => RecipeTypes.Unsaid(record);
}
