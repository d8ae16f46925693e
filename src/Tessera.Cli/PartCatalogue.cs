using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Tessera.Models;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Text.Corpora;
using Tessera.Training;
using Tessera.Nn.Mixers;

namespace Tessera.Cli;

/// <summary>The keys of a recipe and the parts that it can name, written as Markdown from the options' doc comments, which lie
/// beside the assemblies as XML.</summary>
internal static partial class PartCatalogue
{
    private static readonly Assembly[] s_assemblies =
        [typeof(ModelOptions).Assembly, typeof(MixerOptions).Assembly, typeof(CorpusOptions).Assembly, typeof(Recipe).Assembly];

    private static readonly OptionDefaults s_defaults = new(Options);

    private const string Opening = """
        # The parts

        The keys of a recipe, section by section, then the parts that it can name, group by group; printed by `tessera recipe parts` from the doc comments.
        Beside each key is what it is where a recipe does not say it: a default, or *required*. Of a default that is an object only those keys are
        written that differ from the object's own defaults; `{}` has all of them.

        Where a recipe expects a part, the word of its kind stands for an object of that kind with its defaults: `"norm": "layer"` is
        `"norm": { "kind": "layer" }`. An object that does not say its kind is of the one that it is where the recipe says nothing of it:
        `"schedule": { "warmupSteps": 50 }` is a `cosine` one. `--set model.decoder.norm.kind=layer` swaps a part, `--set model.decoder.norm=layer` too: options
        that both kinds have stay, those that the new kind does not take are dropped and named in a note.

        Parts of your own: mark a record of options in an assembly of yours with `[Part("kind")]`, derive it from a group's base such as
        `MixerOptions`, and name the assembly in the recipe, `"parts": ["bin/OwnMixer.dll"]`, or on the command line,
        `--parts bin/OwnMixer.dll`, which models made with them need as well. `tessera recipe parts --parts bin/OwnMixer.dll` lists them
        with the others.

        """;

    /// <summary>What no comment of a single record can show.</summary>
    private const string GoingOn = """

        A recipe that goes on from a model and lets adapters learn, those of the last layer half as fast:

        ```json
        {
          "name": "notes",
          "start": "Qwen3-0.6B",
          "lora": { "rank": 8, "targets": ["*.q_proj", "*.v_proj"] },
          "data": { "kind": "text", "path": "notes" },
          "batches": { "tokens": 2048, "length": 256 },
          "optimizer": { "kind": "adamw", "rules": [{ "pattern": "decoder.layers.27.*", "learningRateFactor": 0.5 }] },
          "phases": [{ "steps": 500, "learningRate": 2e-4 }]
        }
        ```

        `tessera recipe show` prints the names that patterns match, `#` standing for the number of a layer. `lora.targets` are matched with the
        names of weights (`decoder.layers.0.attention.q_proj`, `decoder.layers.0.feed_forward.experts.up_proj`, `embed_tokens`, `lm_head`),
        `rules` with those of the parameters that learn: a part's name, a dot and the parameter's own
        (`decoder.layers.0.attention.q_proj.weight`; of an adapter `….q_proj.lora_A.weight` and `….q_proj.lora_B.weight`). The first rule
        that fits counts; a pattern that fits nothing is an error, which `tessera recipe check` finds.

        """;

    /// <summary>The comments of all records that a recipe can be made of.</summary>
    /// <exception cref="FileNotFoundException">The documentation of an assembly is not beside it.</exception>
    public static OptionComments Comments() => new(s_assemblies, Others());

    /// <summary>A value as a recipe says it: what differs from its defaults.</summary>
    public static string Written(object? value, Type declared) => s_defaults.Written(value, declared);

    /// <summary>The catalogue.</summary>
    /// <exception cref="FileNotFoundException">The documentation of an assembly is not beside it.</exception>
    public static string Markdown()
    {
        var text = new StringBuilder(Opening);
        var comments = Comments();
        foreach (var section in Sections())
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {Title(section)}\n\n{comments.Summary(section)}\n");
            AppendOptions(text, section, comments);
            if (section == typeof(Recipe)) text.Append(GoingOn);
        }

        var groups =
            from assembly in s_assemblies
            from type in assembly.GetExportedTypes()
            where Parts.IsGroup(type)
            orderby Array.IndexOf(s_assemblies, assembly), type.FullName
            select type;
        foreach (var group in groups)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {Title(group)}\n\n{comments.Summary(group)}\n");
            foreach (var kind in Parts.Kinds(group)) Append(text, kind, comments);
        }

        return text.ToString();
    }

    /// <summary>The recipe and the records below it that are no parts with a kind, in the order in which they come up.</summary>
    private static IEnumerable<Type> Sections()
    {
        var found = new List<Type> { typeof(Recipe) };
        for (var index = 0; index < found.Count; index++)
        {
            found = [.. found.Concat(Options(found[index]).SelectMany(option => Values(option.PropertyType))).Distinct()];
        }

        return found.Where(type => !Ancestry(type).Any(Parts.IsGroup));
    }

    /// <summary>The records that a value of the type may hold, those of each kind where it is a group of parts.</summary>
    private static IEnumerable<Type> Values(Type type)
    {
        if (type.IsGenericType) return type.GetGenericArguments().SelectMany(Values);
        if (!s_assemblies.Concat(Others()).Contains(type.Assembly) || !type.IsClass) return [];
        return Parts.IsGroup(type) ? Parts.Kinds(type).Select(kind => kind.Part) : [type];
    }

    /// <summary>The assemblies that are not this program's and have parts.</summary>
    private static IEnumerable<Assembly> Others() => Parts.Registered.Select(kind => kind.Part.Assembly).Distinct();

    private static IEnumerable<Type> Ancestry(Type? type)
    {
        for (; type is not null; type = type.BaseType) yield return type;
    }

    /// <summary>The options of a record: what JSON can set.</summary>
    public static List<PropertyInfo> Options(Type record)
    {
        var parameters = record.GetConstructors().SelectMany(constructor => constructor.GetParameters())
            .Select(parameter => parameter.Name).ToHashSet();
        return [.. record.GetProperties().Where(option =>
            option.CanWrite || (option.GetCustomAttribute<JsonIgnoreAttribute>() is null && parameters.Contains(option.Name)))];
    }

    private static void AppendOptions(StringBuilder text, Type record, OptionComments comments)
    {
        var options = Options(record);
        if (options.Count == 0) return;
        text.Append("\n| option | default | |\n|---|---|---|\n");
        foreach (var option in options)
        {
            var unsaid = s_defaults.Of(record, option) is { } value ? $"`{value}`" : "*required*";
            var (name, what) = (JsonNamingPolicy.CamelCase.ConvertName(option.Name), comments.Of(record, option.Name));
            text.Append(CultureInfo.InvariantCulture, $"| `{name}` | {unsaid} | {what}{Allowed(option.PropertyType)} |\n");
        }
    }

    /// <summary>The names that an enumeration has in a recipe.</summary>
    private static string Allowed(Type type)
    {
        var values = Nullable.GetUnderlyingType(type) ?? type;
        if (values is { IsGenericType: true } && values.GetGenericArguments() is [var only]) values = only;
        var names = values.IsEnum ? Enum.GetNames(values).Select(name => $"`{JsonNamingPolicy.KebabCaseLower.ConvertName(name)}`") : [];
        return values.IsEnum ? $" One of {string.Join(", ", names)}." : "";
    }

    private static void Append(StringBuilder text, PartKind kind, OptionComments comments)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n### `{kind.Name}`\n");
        if (comments.Summary(kind.Part) is { Length: > 0 } summary) text.Append(CultureInfo.InvariantCulture, $"\n{summary}\n");
        // The module's own comment gives the equation, the cost and the source.
        var module = kind.Part.Assembly.GetType(kind.Part.FullName!.Replace("Options", "", StringComparison.Ordinal));
        if (module is not null && module != kind.Part && comments.Summary(module) is { Length: > 0 } computes)
            text.Append(CultureInfo.InvariantCulture, $"\n{computes}\n");

        AppendOptions(text, kind.Part, comments);
    }

    private static string Title(Type group) =>
        Capitals().Replace(group.Name.Replace("Options", "", StringComparison.Ordinal), " $1").Trim();

    [GeneratedRegex("(?<!^)([A-Z])")]
    private static partial Regex Capitals();

}
