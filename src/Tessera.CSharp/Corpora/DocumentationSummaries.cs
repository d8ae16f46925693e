using System.Text;
using System.Xml;

namespace Tessera.CSharp.Corpora;

/// <summary>Reads the summaries of C# documentation files as plain words.</summary>
/// <param name="typeNames">How types are written in C#, by documentation id (<c>T:System.Int32</c> → <c>int</c>).</param>
internal sealed class DocumentationSummaries(IReadOnlyDictionary<string, string> typeNames)
{
    private static readonly XmlReaderSettings _settings = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true,
    };

    private readonly Dictionary<string, string> _summaries = new(StringComparer.Ordinal);
    private readonly StringBuilder _words = new();

    /// <summary>The summary of the member with a documentation id, in one line; null where there is none.</summary>
    public string? this[string id] => _summaries.GetValueOrDefault(id);

    /// <summary>Adds the summaries of a file; those of files added before it stay.</summary>
    /// <exception cref="InvalidDataException">The file is not well-formed XML.</exception>
    public void Add(string path)
    {
        try
        {
            using var reader = XmlReader.Create(path, _settings);
            while (reader.ReadToFollowing("member"))
            {
                if (reader.GetAttribute("name") is not { } id) continue;
                using var member = reader.ReadSubtree();
                if (member.ReadToDescendant("summary") && Words(member) is { Length: > 0 } words) _summaries.TryAdd(id, words);
            }
        }
        catch (XmlException error)
        {
            throw new InvalidDataException($"{path}:{error.LineNumber}: not well-formed XML: {error.Message}", error);
        }
    }

    /// <summary>The text of the element that the reader is on, references as names, any run of blanks as one.</summary>
    private string Words(XmlReader reader)
    {
        _words.Clear();
        string? reference = null;
        using var element = reader.ReadSubtree();
        while (element.Read())
        {
            if (element.NodeType == XmlNodeType.Element)
            {
                _words.Append(Separator(element.Name));
                reference = Reference(element);
            }

            // A reference stands for itself only where it has no text of its own: <see cref="…"/>, <see cref="…"></see>.
            if (element.NodeType == XmlNodeType.EndElement || element.IsEmptyElement)
            {
                _words.Append(reference).Append(Separator(element.Name));
                reference = null;
            }
            else if (element.HasValue)
            {
                _words.Append(element.Value);
                reference = null;
            }
        }

        return string.Join(' ', _words.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>What an element without text stands for, or null.</summary>
    private string? Reference(XmlReader element)
    {
        if (element.GetAttribute("cref") is { } cref) return Name(cref);
        if (element.GetAttribute("uid") is { } uid) return Name(typeNames.ContainsKey($"T:{uid}") ? $"T:{uid}" : $"M:{uid}");
        return element.GetAttribute("langword") ?? element.GetAttribute("name") ?? element.GetAttribute("href");
    }

    /// <summary>A blank around elements that stand apart, nothing around those within a line.</summary>
    private static string Separator(string element) =>
        element is "para" or "p" or "br" or "list" or "listheader" or "item" or "term" or "description" ? " " : "";

    /// <summary>
    /// The short C# name of what a documentation id names: <c>M:System.String.Join(System.String)</c> → <c>string.Join</c>.
    /// </summary>
    internal string Name(string id)
    {
        if (typeNames.TryGetValue(id, out var type)) return type;
        var start = id.IndexOf(':', StringComparison.Ordinal) + 1;
        var parameters = id.IndexOf('(', StringComparison.Ordinal);
        var path = (parameters < 0 ? id[start..] : id[start..parameters]).Split('.');
        var name = Plain(path[^1]);
        if (id.StartsWith("T:", StringComparison.Ordinal) || path.Length == 1) return name;

        var owner = typeNames.GetValueOrDefault($"T:{string.Join('.', path[..^1])}") ?? Plain(path[^2]);
        return path[^1] == "#ctor" ? owner : $"{owner}.{name}";
    }

    /// <summary>A name without the mark of its number of type parameters, and with the dots of an explicit implementation.</summary>
    private static string Plain(string name) => name.Split('`')[0].Replace('#', '.').TrimEnd('*');
}
