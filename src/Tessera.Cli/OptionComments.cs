using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Tessera.Cli;

/// <summary>The doc comments of records of options, from the XML files that are built beside their assemblies, as plain text.</summary>
internal sealed partial class OptionComments
{
    private readonly Dictionary<string, XElement> _members;

    /// <summary>Reads the comments.</summary>
    /// <param name="assemblies">Assemblies of this program.</param>
    /// <param name="others">Assemblies of others, which may have no comments.</param>
    /// <exception cref="FileNotFoundException">The documentation of one of this program's is not beside it.</exception>
    public OptionComments(IEnumerable<Assembly> assemblies, IEnumerable<Assembly> others) =>
        _members = assemblies.Select(Required).Concat(others.Select(Optional)).SelectMany(members => members)
            .ToDictionary(member => member.Key, member => member.Value);

    /// <summary>What a record is; empty where nothing says so.</summary>
    public string Summary(Type type) =>
        _members.TryGetValue($"T:{type.FullName}", out var member) ? Plain(member.Element("summary")) : "";

    /// <summary>What an option of a record is; empty where nothing says so.</summary>
    /// <param name="record">The record.</param>
    /// <param name="option">The name of its property.</param>
    public string Of(Type record, string option)
    {
        var declaring = record.GetProperty(option)?.DeclaringType ?? record;
        if (_members.TryGetValue($"P:{declaring.FullName}.{option}", out var own)
            && Plain(own.Element("summary")) is { Length: > 0 } summary) return summary;
        for (var type = record; type is not null; type = type.BaseType)
        {
            var parameter = _members.GetValueOrDefault($"T:{type.FullName}")?.Elements("param")
                .FirstOrDefault(found => found.Attribute("name")?.Value == option);
            if (parameter is not null) return Plain(parameter);
        }

        return "";
    }

    private static Dictionary<string, XElement> Required(Assembly assembly)
    {
        var path = Path.ChangeExtension(assembly.Location, ".xml");
        if (!File.Exists(path))
            throw new FileNotFoundException($"the documentation {path} is missing; it is built beside the assembly", path);
        return Members(path);
    }

    /// <summary>The comments of an assembly of others, which may have none.</summary>
    private static Dictionary<string, XElement> Optional(Assembly assembly)
    {
        var path = Path.ChangeExtension(assembly.Location, ".xml");
        return File.Exists(path) ? Members(path) : [];
    }

    /// <summary>The comments of types and their properties; the compiler generates some in a namespace of its own.</summary>
    private static Dictionary<string, XElement> Members(string path) => XDocument.Load(path).Descendants("member")
        .Where(member => member.Attribute("name")!.Value is ['T' or 'P', ':', ..] name
            && !name.StartsWith("T:System.", StringComparison.Ordinal))
        .ToDictionary(member => member.Attribute("name")!.Value);

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

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
