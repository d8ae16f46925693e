using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Tessera.Nn;

/// <summary>A kind of part that a recipe can name.</summary>
/// <param name="Name">What <c>"kind"</c> says.</param>
/// <param name="Part">The record of its options.</param>
public sealed record PartKind(string Name, Type Part);

/// <summary>
/// The kinds of parts that recipes can name. A group is the base record of options of one sort: mixer, norm, corpus, optimizer, schedule …
/// <para>The kinds of this library stand in attributes on their group: one line each, read together with what they have in common, and
/// <c>System.Text.Json</c> knows them wherever it is used. Those of other assemblies are registered here and count from then on, even if
/// recipes have been read before.</para>
/// </summary>
public static partial class Parts
{
    private const string NoGroup = "no group of parts, as MixerOptions or NormOptions are";
    private static readonly Lock s_registering = new();
    private static volatile IReadOnlyList<PartKind> s_registered = [];

    /// <summary>The kinds of other assemblies, in the order in which they were registered; another list once there are more.</summary>
    public static IReadOnlyList<PartKind> Registered => s_registered;

    /// <summary>Whether a type is a group: whether recipes tell its records apart by their <c>kind</c>.</summary>
    public static bool IsGroup(Type type) => type.IsDefined(typeof(JsonPolymorphicAttribute), inherit: false);

    /// <summary>The kinds of a group: first this library's, then those registered. A kind belongs to every group that its record derives
    /// from.</summary>
    /// <param name="group">A base of options; a type that is none has no kinds.</param>
    public static IReadOnlyList<PartKind> Kinds(Type group) =>
    [
        .. group.GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false)
            .Select(own => new PartKind((string)own.TypeDiscriminator!, own.DerivedType)),
        .. s_registered.Where(kind => IsGroup(group) && group.IsAssignableFrom(kind.Part)),
    ];

    /// <summary>What a recipe calls the part with these options, such as <c>rotary</c>; null where it has no kind.</summary>
    /// <param name="options">A record of options.</param>
    public static string? KindOf(Type options) =>
        Groups(options).SelectMany(Kinds).FirstOrDefault(kind => kind.Part == options)?.Name;

    /// <summary>What a recipe calls a part, for messages: its kind, or the name of its record without "Options" where it has
    /// none.</summary>
    /// <param name="options">The options of a part; null where there is none.</param>
    public static string NameOf(object? options) => options is null ? "none" : NameOf(options.GetType());

    /// <inheritdoc cref="NameOf(object)"/>
    public static string NameOf(Type options) =>
        KindOf(options) ?? JsonNamingPolicy.KebabCaseLower.ConvertName(options.Name.Replace("Options", "", StringComparison.Ordinal));

    /// <summary>Registers a kind. To do so again changes nothing.</summary>
    /// <typeparam name="TGroup">The group, such as <c>MixerOptions</c>.</typeparam>
    /// <typeparam name="TPart">The record of its options.</typeparam>
    /// <param name="kind">What recipes call it: lower-case letters, digits and hyphens.</param>
    /// <exception cref="ArgumentException">The kind is taken, the record has another kind already, or the type is no group.</exception>
    public static void Register<TGroup, TPart>(string kind) where TGroup : class where TPart : class, TGroup
    {
        if (!IsGroup(typeof(TGroup)))
            throw new ArgumentException($"'{kind}' cannot be registered: {typeof(TGroup)} is {NoGroup}");
        Register(typeof(TPart), kind);
    }

    /// <summary>Registers all records of an assembly that have a <see cref="PartAttribute"/>.</summary>
    /// <returns>The kinds it has; it may have none.</returns>
    /// <exception cref="ArgumentException">One cannot be registered; those before it are.</exception>
    public static IReadOnlyList<PartKind> RegisterAll(Assembly assembly)
    {
        var found = assembly.GetTypes()
            .Select(type => (Type: type, Part: type.GetCustomAttribute<PartAttribute>(inherit: false)))
            .Where(own => own.Part is not null).Select(own => new PartKind(own.Part!.Kind, own.Type)).ToList();
        foreach (var kind in found) Register(kind.Part, kind.Name);
        return found;
    }

    private static void Register(Type part, string kind)
    {
        var groups = Groups(part).ToList();
        Require(kind.Length > 0 && KindName().IsMatch(kind), "a kind is written in lower-case letters, digits and hyphens");
        Require(groups.Count > 0, $"it derives from {NoGroup}");
        Require(
            part is { IsAbstract: false, ContainsGenericParameters: false } && part.GetConstructors().Length > 0,
            "it cannot be made: it is abstract, generic, or has no public constructor");
        lock (s_registering)
        {
            foreach (var known in groups.SelectMany(Kinds))
            {
                if (known.Name == kind && known.Part == part) return;
                Require(known.Name != kind, $"the kind is {known.Part}'s");
                Require(known.Part != part, $"it is '{known.Name}' already");
            }

            s_registered = [.. s_registered, new PartKind(kind, part)];
        }

        void Require(bool condition, string problem)
        {
            if (!condition) throw new ArgumentException($"{part} cannot be registered as '{kind}': {problem}");
        }
    }

    /// <summary>The groups that a record belongs to, the nearest first.</summary>
    private static IEnumerable<Type> Groups(Type? type)
    {
        for (type = type?.BaseType; type is not null; type = type.BaseType)
            if (IsGroup(type)) yield return type;
    }

    [GeneratedRegex("^[a-z0-9]+(-[a-z0-9]+)*$", RegexOptions.CultureInvariant)]
    private static partial Regex KindName();
}
