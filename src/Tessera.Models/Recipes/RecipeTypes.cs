using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Tessera.Nn;

namespace Tessera.Models.Recipes;

/// <summary>The records that recipes are read into: their properties by key, the record of a part by its kind.</summary>
internal sealed class RecipeTypes
{
    private static volatile RecipeTypes s_current = new();
    private readonly IReadOnlyList<PartKind> _registered = Parts.Registered;

    private RecipeTypes() => Options = Create();

    /// <summary>With the kinds that are registered now.</summary>
    public static RecipeTypes Current =>
        ReferenceEquals(s_current._registered, Parts.Registered) ? s_current : s_current = new RecipeTypes();

    /// <summary>How JSON becomes a record and a record JSON.</summary>
    public JsonSerializerOptions Options { get; }

    /// <summary>What the serializer knows of a type; of an optional value, of the value.</summary>
    public JsonTypeInfo Info(Type type) => Options.GetTypeInfo(Nullable.GetUnderlyingType(type) ?? type);

    /// <summary>The record that an object becomes; null where its kind names none, or where it becomes no record.</summary>
    /// <param name="json">The object.</param>
    /// <param name="declared">The group of parts or the record that is expected there.</param>
    public Type? RecordOf(JsonObject json, Type declared) =>
        Parts.IsGroup(declared) ? Part(declared, Word(json["kind"]))
        : Info(declared).Kind == JsonTypeInfoKind.Object ? declared : null;

    /// <summary>The record of a group's kind; null where it has no such kind.</summary>
    public static Type? Part(Type group, string? kind) => Parts.Kinds(group).FirstOrDefault(known => known.Name == kind)?.Part;

    /// <summary>The options of a record that JSON can set.</summary>
    public IEnumerable<JsonPropertyInfo> Properties(Type record) =>
        Info(record).Properties.Where(property => property.Set is not null || property.AssociatedParameter is not null);

    /// <summary>The option of a record with this key; null where it has none.</summary>
    public JsonPropertyInfo? Property(Type? record, string key) =>
        record is null ? null : Properties(record).FirstOrDefault(property => property.Name == key);

    /// <summary>What a list or dictionary holds; null of other types.</summary>
    public Type? ItemOf(Type? type) =>
        type is not null && Info(type) is { Kind: JsonTypeInfoKind.Enumerable or JsonTypeInfoKind.Dictionary } many
            ? many.ElementType
            : null;

    /// <summary>A text of JSON; null where it is something else.</summary>
    public static string? Word(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    /// <summary>A record of which nothing is said: options have their defaults, and what is required is empty.</summary>
    public static object Unsaid(Type record)
    {
        var constructor = record.GetConstructors().MaxBy(own => own.GetParameters().Length)!;
        return constructor.Invoke([.. constructor.GetParameters().Select(parameter =>
            parameter.HasDefaultValue ? parameter.DefaultValue
            : parameter.ParameterType.IsValueType ? RuntimeHelpers.GetUninitializedObject(parameter.ParameterType)
            : null)]);
    }

    /// <summary>The kind of the part that a record has where nothing is said of it; null where it has none.</summary>
    public static string? DefaultKind(Type record, JsonPropertyInfo property)
    {
        if (!Parts.IsGroup(property.PropertyType) || property.Get is null || record.IsAbstract) return null;
        try
        {
            return property.Get(Unsaid(record)) is { } part ? Parts.KindOf(part.GetType()) : null;
        }
        catch (TargetInvocationException) // a record that checks what is required of it
        {
            return null;
        }
    }

    private static JsonSerializerOptions Create()
    {
        var options = new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
            ReadCommentHandling = JsonCommentHandling.Skip,
            AllowTrailingCommas = true,
            AllowOutOfOrderMetadataProperties = true,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            WriteIndented = true,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { AddRegistered } },
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
        };
        options.MakeReadOnly();
        return options;
    }

    /// <summary>The serializer finds a group's own kinds in its attributes; those of other assemblies follow them.</summary>
    private static void AddRegistered(JsonTypeInfo info)
    {
        if (info.PolymorphismOptions is not { DerivedTypes: var known } || !Parts.IsGroup(info.Type)) return;
        foreach (var kind in Parts.Kinds(info.Type).Skip(known.Count)) known.Add(new JsonDerivedType(kind.Part, kind.Name));
    }
}
