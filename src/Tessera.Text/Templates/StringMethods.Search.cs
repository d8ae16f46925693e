using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

// Where parts of a text are, and cutting it there.
internal static partial class StringMethods
{
    /// <summary>White space as Python's <c>str.isspace</c> has it: the four separators of ASCII too.</summary>
    public static bool IsBlank(char letter) => char.IsWhiteSpace(letter) || letter is >= '\x1c' and <= '\x1f';

    /// <summary>The part of a text that <c>start</c> and <c>end</c> leave, and the code points before it; null where the start is behind
    /// the end.</summary>
    private static (string Text, int Start)? Window(string text, Arguments given)
    {
        if (given.Count < 2) return (text, 0);
        var length = Operators.CodePoints(text);
        var (start, end) = (Place(given.Get(1, "start"), 0, length), Math.Min(length, Place(given.Get(2, "end"), length, length)));
        if (start > end) return null;
        return ((string)Operators.Slice(text, (BigInteger)start, (BigInteger)end, null)!, start);
    }

    private static int Place(object? place, int otherwise, int length) => place switch
    {
        null => otherwise,
        BigInteger or bool when Operators.WholeOf(place) is var number =>
            (int)BigInteger.Clamp(number < 0 ? number + length : number, 0, length + 1),
        _ => throw new TemplateException(TemplateErrorKind.TypeError, "slice indices must be integers or None"),
    };

    private static int Find(string text, Arguments given, bool last)
    {
        var part = given.Text(0, "sub");
        if (Window(text, given) is not { } window) return -1;
        var place = last
            ? window.Text.LastIndexOf(part, StringComparison.Ordinal)
            : window.Text.IndexOf(part, StringComparison.Ordinal);
        return place < 0 ? -1 : window.Start + Operators.CodePoints(window.Text[..place]);
    }

    private static int Found(int place) => place >= 0
        ? place
        : throw new TemplateException(TemplateErrorKind.ValueError, "substring not found");

    private static bool AnyOf(string text, Arguments given, Func<string, string, bool> holds)
    {
        var parts = given.Positional[0] is PythonTuple tuple ? tuple : new PythonTuple(given.Positional[0]);
        var window = Window(text, given);
        foreach (var part in parts)
        {
            if (part is not string words)
                throw new TemplateException(TemplateErrorKind.TypeError, $"expected str or a tuple of str, not {Printing.TypeName(part)}");
            if (window is { } own && holds(own.Text, words)) return true;
        }

        return false;
    }

    private static int Count(string text, string part)
    {
        if (part.Length == 0) return Operators.CodePoints(text) + 1;
        var count = 0;
        for (var i = 0; (i = text.IndexOf(part, i, StringComparison.Ordinal)) >= 0; i += part.Length) count++;
        return count;
    }

    private static string? Letters(Arguments given) => given.Get(0, "chars") is null ? null : given.Text(0, "chars");

    private static string? Separator(Arguments given)
    {
        if (given.Get(0, "sep") is null) return null;
        return given.Text(0, "sep") is { Length: > 0 } separator
            ? separator
            : throw new TemplateException(TemplateErrorKind.ValueError, "empty separator");
    }

    private static List<object?> Split(string text, string? separator, int max)
    {
        var parts = new List<object?>();
        var rest = separator is null ? Strip(text, null, start: true, end: false) : text;
        for (; max != 0 && rest.Length > 0; max--)
        {
            var place = separator is null ? IndexOfBlank(rest) : rest.IndexOf(separator, StringComparison.Ordinal);
            if (place < 0) break;
            parts.Add(rest[..place]);
            rest = separator is null ? Strip(rest[place..], null, start: true, end: false) : rest[(place + separator.Length)..];
        }

        if (separator is not null || rest.Length > 0) parts.Add(rest);
        return parts;
    }

    private static List<object?> SplitFromEnd(string text, string? separator, int max)
    {
        if (max < 0) return Split(text, separator, max);
        var parts = new List<object?>();
        var rest = separator is null ? Strip(text, null, start: false, end: true) : text;
        for (; max > 0 && rest.Length > 0; max--)
        {
            var place = separator is null ? LastIndexOfBlank(rest) : rest.LastIndexOf(separator, StringComparison.Ordinal);
            if (place < 0) break;
            parts.Add(rest[(place + (separator?.Length ?? 1))..]);
            rest = separator is null ? Strip(rest[..place], null, start: false, end: true) : rest[..place];
        }

        if (separator is not null || rest.Length > 0) parts.Add(rest);
        parts.Reverse();
        return parts;
    }

    private static int IndexOfBlank(string text)
    {
        for (var i = 0; i < text.Length; i++)
            if (IsBlank(text[i])) return i;
        return -1;
    }

    private static int LastIndexOfBlank(string text)
    {
        for (var i = text.Length - 1; i >= 0; i--)
            if (IsBlank(text[i])) return i;
        return -1;
    }

    private static PythonTuple Partition(string text, Arguments given, bool last)
    {
        var separator = Separator(given) ?? throw new TemplateException(TemplateErrorKind.TypeError, "must be str, not NoneType");
        var place = last ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        return place >= 0 ? new PythonTuple(text[..place], separator, text[(place + separator.Length)..])
            : last ? new PythonTuple("", "", text)
            : new PythonTuple(text, "", "");
    }
}
