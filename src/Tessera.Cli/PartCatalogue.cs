using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
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
        `"norm": { "kind": "layer" }`. `--set model.decoder.norm.kind=layer` swaps a part, `--set model.decoder.norm=layer` too: options
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

    /// <summary>The catalogue.</summary>
    /// <exception cref="FileNotFoundException">The documentation of an assembly is not beside it.</exception>
    public static string Markdown()
    {
        var text = new StringBuilder(Opening);
        var comments = s_assemblies.Select(Comments).Concat(Others().Select(OthersComments)).SelectMany(members => members)
            .ToDictionary(member => member.Key, member => member.Value);
        foreach (var section in Sections())
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {Title(section)}\n\n{Summary(comments, section)}\n");
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
            text.Append(CultureInfo.InvariantCulture, $"\n## {Title(group)}\n\n{Summary(comments, group)}\n");
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
    private static List<PropertyInfo> Options(Type record)
    {
        var parameters = record.GetConstructors().SelectMany(constructor => constructor.GetParameters())
            .Select(parameter => parameter.Name).ToHashSet();
        return [.. record.GetProperties().Where(option =>
            option.CanWrite || (option.GetCustomAttribute<JsonIgnoreAttribute>() is null && parameters.Contains(option.Name)))];
    }

    private static void AppendOptions(StringBuilder text, Type record, Dictionary<string, XElement> comments)
    {
        var options = Options(record);
        if (options.Count == 0) return;
        text.Append("\n| option | default | |\n|---|---|---|\n");
        foreach (var option in options)
        {
            var unsaid = s_defaults.Of(record, option) is { } value ? $"`{value}`" : "*required*";
            var (name, what) = (JsonNamingPolicy.CamelCase.ConvertName(option.Name), Describe(comments, record, option));
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

    private static void Append(StringBuilder text, PartKind kind, Dictionary<string, XElement> comments)
    {
        text.Append(CultureInfo.InvariantCulture, $"\n### `{kind.Name}`\n");
        if (Summary(comments, kind.Part) is { Length: > 0 } summary) text.Append(CultureInfo.InvariantCulture, $"\n{summary}\n");
        // The module's own comment gives the equation, the cost and the source.
        var module = kind.Part.Assembly.GetType(kind.Part.FullName!.Replace("Options", "", StringComparison.Ordinal));
        if (module is not null && module != kind.Part && Summary(comments, module) is { Length: > 0 } computes)
            text.Append(CultureInfo.InvariantCulture, $"\n{computes}\n");

        AppendOptions(text, kind.Part, comments);
    }

    private static string Describe(Dictionary<string, XElement> comments, Type part, PropertyInfo option)
    {
        if (comments.TryGetValue($"P:{option.DeclaringType!.FullName}.{option.Name}", out var own)
            && Plain(own.Element("summary")) is { Length: > 0 } summary) return summary;
        for (var type = part; type is not null; type = type.BaseType)
        {
            var parameter = comments.GetValueOrDefault($"T:{type.FullName}")?.Elements("param")
                .FirstOrDefault(found => found.Attribute("name")?.Value == option.Name);
            if (parameter is not null) return Plain(parameter);
        }

        return "";
    }

    private static Dictionary<string, XElement> Comments(Assembly assembly)
    {
        var path = Path.ChangeExtension(assembly.Location, ".xml");
        if (!File.Exists(path))
            throw new FileNotFoundException($"the documentation {path} is missing; it is built beside the assembly", path);
        return Members(path);
    }

    /// <summary>The comments of an assembly of others, which may have none.</summary>
    private static Dictionary<string, XElement> OthersComments(Assembly assembly)
    {
        var path = Path.ChangeExtension(assembly.Location, ".xml");
        return File.Exists(path) ? Members(path) : [];
    }

    /// <summary>The comments of types and their properties; the compiler generates some in a namespace of its own.</summary>
    private static Dictionary<string, XElement> Members(string path) => XDocument.Load(path).Descendants("member")
        .Where(member => member.Attribute("name")!.Value is ['T' or 'P', ':', ..] name
            && !name.StartsWith("T:System.", StringComparison.Ordinal))
        .ToDictionary(member => member.Attribute("name")!.Value);

    private static string Title(Type group) =>
        Capitals().Replace(group.Name.Replace("Options", "", StringComparison.Ordinal), " $1").Trim();

    private static string Summary(Dictionary<string, XElement> comments, Type type) =>
        comments.TryGetValue($"T:{type.FullName}", out var member) ? Plain(member.Element("summary")) : "";

    /// <summary>A comment's text: references by their last name, options as the keys that they are in a recipe, code in backticks,
    /// blanks collapsed.</summary>
    private static string Plain(XElement? element)
    {
        if (element is null) return "";
        var text = string.Concat(element.Nodes().Select(node => node switch
        {
            XText plain => plain.Value,
            XElement { Name.LocalName: "c" or "code" } code => $"`{code.Value}`",
            XElement { Name.LocalName: "see" or "paramref" } reference => Reference(reference),
            XElement { Name.LocalName: "para" } paragraph => "\n\n" + Plain(paragraph),
            XElement other => Plain(other),
            _ => "",
        }));
        var paragraphs = text.Split("\n\n").Select(paragraph => Blanks().Replace(paragraph, " ").Trim());
        return string.Join("\n\n", paragraphs.Where(paragraph => paragraph.Length > 0));
    }

    private static string Reference(XElement reference)
    {
        if (reference.Attribute("href")?.Value is { } link) return $"<{link}>";
        var name = (reference.Attribute("cref") ?? reference.Attribute("langword") ?? reference.Attribute("name"))?.Value ?? "";
        var plain = name.Split('(')[0].Split('.', ':')[^1];
        var isOption = reference.Name.LocalName == "paramref" || name.StartsWith("P:Tessera.", StringComparison.Ordinal);
        return name.StartsWith("F:Tessera.", StringComparison.Ordinal) ? $"`{JsonNamingPolicy.KebabCaseLower.ConvertName(plain)}`"
            : $"`{(isOption ? JsonNamingPolicy.CamelCase.ConvertName(plain) : plain)}`";
    }

    [GeneratedRegex("(?<!^)([A-Z])")]
    private static partial Regex Capitals();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
