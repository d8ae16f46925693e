using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Tessera.Models.Recipes;
using Tessera.Nn;

namespace Tessera.Cli;

/// <summary>What the options of a record are where a recipe does not say, as a recipe would say it.</summary>
/// <param name="options">The options of a record.</param>
internal sealed class OptionDefaults(Func<Type, IReadOnlyList<PropertyInfo>> options)
{
    private static readonly JsonSerializerOptions s_written = new()
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The option's default as JSON; null where it is required. Of a record within, only what differs from that record's own
    /// defaults.</summary>
    public string? Of(Type record, PropertyInfo option)
    {
        var parameter = Constructor(record)?.GetParameters().FirstOrDefault(own => own.Name == option.Name);
        if (parameter is { HasDefaultValue: false } || option.IsDefined(typeof(RequiredMemberAttribute))) return null;
        if (parameter?.DefaultValue is { } said) return Written(said, option.PropertyType);
        var value = option.GetValue(RecipeJson.Unsaid(record));
        var mayBeNull = new NullabilityInfoContext().Create(option).WriteState == NullabilityState.Nullable;
        return value is null && !mayBeNull ? null : Written(value, option.PropertyType);
    }

    /// <summary>A value as JSON; of a record within, only what differs from that record's own defaults.</summary>
    public string Written(object? value, Type declared)
    {
        if (value is null) return "null";
        var type = value.GetType();
        if (type.IsEnum || type.Assembly == typeof(string).Assembly || typeof(System.Collections.IEnumerable).IsAssignableFrom(type))
            return JsonSerializer.Serialize(value, type, s_written).Replace("E-0", "e-", StringComparison.Ordinal);
        var kind = Parts.IsGroup(declared) ? Parts.KindOf(type) : null;
        var said = options(type)
            .Select(option => (option.Name, Own: Of(type, option), Value: Written(option.GetValue(value), option.PropertyType)))
            .Where(option => option.Own != option.Value)
            .Select(option => $"\"{JsonNamingPolicy.CamelCase.ConvertName(option.Name)}\": {option.Value}");
        var members = (kind is null ? [] : new[] { $"\"kind\": \"{kind}\"" }).Concat(said).ToList();
        return members.Count == 0 ? "{}" : $"{{ {string.Join(", ", members)} }}";
    }

    private static ConstructorInfo? Constructor(Type record) =>
        record.GetConstructors().MaxBy(constructor => constructor.GetParameters().Length);
}
