using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>What is sought in texts and what is put in its place: a <c>pattern</c> and its <c>content</c>.</summary>
internal sealed class Replacement
{
    private readonly string _sought;
    private readonly string _content;
    private readonly SplitPattern? _pattern;

    /// <param name="sought">A text, or a regular expression over code points; not empty.</param>
    /// <param name="content">What takes its place, as it stands.</param>
    /// <param name="isExpression">Whether <paramref name="sought"/> is a regular expression.</param>
    /// <exception cref="ArgumentException">The expression cannot be read.</exception>
    public Replacement(string sought, string content, bool isExpression = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(sought);
        (_sought, _content) = (sought, content);
        if (isExpression) _pattern = SplitPattern.For(sought);
    }

    /// <summary>The text with every match replaced.</summary>
    public string Apply(string text)
    {
        if (_pattern is null) return text.Replace(_sought, _content, StringComparison.Ordinal);
        var matches = new List<Piece>();
        _pattern.Match(text, 0, matches);
        if (matches.Count == 0) return text;
        var replaced = new StringBuilder(text.Length);
        var done = 0;
        foreach (var match in matches)
        {
            replaced.Append(text, done, match.Start - done).Append(_content);
            done = match.Start + match.Length;
        }

        return replaced.Append(text, done, text.Length - done).ToString();
    }

    /// <summary>Writes <c>pattern</c> and <c>content</c>.</summary>
    public void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("pattern");
        writer.WriteString(_pattern is null ? "String" : "Regex", _sought);
        writer.WriteEndObject();
        writer.WriteString("content", _content);
    }

    /// <summary>Reads what <see cref="WriteMembers"/> writes.</summary>
    public static Replacement Read(JsonPart part)
    {
        var pattern = part.Required("pattern");
        var literal = pattern.Optional("String");
        var sought = literal ?? pattern.Required("Regex");
        try
        {
            return new Replacement(sought.Text(), part.Required("content").Text(), isExpression: literal is null);
        }
        catch (ArgumentException error)
        {
            throw sought.Unsupported("a text, or a regular expression without back references, calls and conditions", error);
        }
    }
}
