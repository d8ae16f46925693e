using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Methods of Python's <c>str</c>.</summary>
internal static class StringMethods
{
    public static Function? Find(string text, string name)
    {
        Func<Arguments, object?>? method = name switch
        {
            "strip" => arguments => Strip(text, arguments.Get(0, "chars"), start: true, end: true),
            "lstrip" => arguments => Strip(text, arguments.Get(0, "chars"), start: true, end: false),
            "rstrip" => arguments => Strip(text, arguments.Get(0, "chars"), start: false, end: true),
            "split" => arguments => Split(text, arguments.Get(0, "sep"), arguments.Whole(1, "maxsplit", -1)),
            "rsplit" => arguments => SplitFromEnd(text, arguments.Get(0, "sep"), arguments.Whole(1, "maxsplit", -1)),
            "splitlines" => _ => Lines(text).Cast<object?>().ToList(),
            "partition" => arguments =>
                Partition(text, arguments.Text(0, "sep"), text.IndexOf(arguments.Text(0, "sep"), StringComparison.Ordinal), first: true),
            "rpartition" => arguments =>
                Partition(
                    text, arguments.Text(0, "sep"), text.LastIndexOf(arguments.Text(0, "sep"), StringComparison.Ordinal), first: false),
            "join" => arguments => string.Join(text, Operators.Items(arguments.Required(0, "iterable")).Select(Part)),
            "replace" => arguments => Replace(text, arguments.Text(0, "old"), arguments.Text(1, "new"), arguments.Whole(2, "count", -1)),
            "upper" => _ => CaseMapping.Upper(text),
            "lower" or "casefold" => _ => CaseMapping.Lower(text),
            "title" => _ => Title(text),
            "capitalize" => _ => CaseMapping.Capitalize(text),
            "swapcase" => _ =>
                string.Concat(text.Select(letter => char.IsUpper(letter) ? char.ToLowerInvariant(letter) : char.ToUpperInvariant(letter))),
            "startswith" => arguments => Any(arguments.Required(0, "prefix"), part => text.StartsWith(part, StringComparison.Ordinal)),
            "endswith" => arguments => Any(arguments.Required(0, "suffix"), part => text.EndsWith(part, StringComparison.Ordinal)),
            "removeprefix" => arguments =>
                arguments.Text(0, "prefix") is var prefix && text.StartsWith(prefix, StringComparison.Ordinal)
                    ? text[prefix.Length..]
                    : text,
            "removesuffix" => arguments =>
                arguments.Text(0, "suffix") is var suffix && text.EndsWith(suffix, StringComparison.Ordinal)
                    ? text[..^suffix.Length]
                    : text,
            "find" => arguments => Place(text, text.IndexOf(arguments.Text(0, "sub"), StringComparison.Ordinal)),
            "rfind" => arguments => Place(text, text.LastIndexOf(arguments.Text(0, "sub"), StringComparison.Ordinal)),
            "index" => arguments => text.IndexOf(arguments.Text(0, "sub"), StringComparison.Ordinal) is var place and >= 0
                ? Place(text, place)
                : throw new TemplateException(TemplateErrorKind.ValueError, "substring not found"),
            "count" => arguments => (BigInteger)Count(text, arguments.Text(0, "sub")),
            "isdigit" => _ => text.Length > 0 && text.All(char.IsDigit),
            "isnumeric" => _ => text.Length > 0 && text.All(char.IsNumber),
            "isalpha" => _ => text.Length > 0 && text.All(char.IsLetter),
            "isalnum" => _ => text.Length > 0 && text.All(char.IsLetterOrDigit),
            "isspace" => _ => text.Length > 0 && text.All(char.IsWhiteSpace),
            "isupper" => _ => IsCase(text, char.IsUpper, char.IsLower),
            "islower" => _ => IsCase(text, char.IsLower, char.IsUpper),
            "ljust" => arguments => text + Fill(text, arguments),
            "rjust" => arguments => Fill(text, arguments) + text,
            "center" => arguments => Center(text, arguments.Whole(0, "width", 0)),
            "zfill" => arguments => text.PadLeft(Width(arguments.Whole(0, "width", 0)), '0'),
            "format" => arguments => StringFormat.Braces(text, arguments),
            "encode" => _ => text,
            _ => null,
        };
        return method is null ? null : new Function(name, method);
    }

    public static string Strip(string text, object? letters, bool start, bool end)
    {
        var set = letters is null ? null : Printing.Text(letters);
        var (from, to) = (0, text.Length);
        while (start && from < to && Goes(text[from])) from++;
        while (end && to > from && Goes(text[to - 1])) to--;
        return text[from..to];

        bool Goes(char letter) => set is null ? char.IsWhiteSpace(letter) : set.Contains(letter);
    }

    public static string Replace(string text, string old, string replacement, int count)
    {
        if (old.Length == 0 || count == 0) return text;
        Operators.LimitedCount(text.Length + ((long)Count(text, old) * replacement.Length), () => 0);
        if (count < 0) return text.Replace(old, replacement, StringComparison.Ordinal);
        var (result, from) = (new StringBuilder(), 0);
        for (; count > 0 && text.IndexOf(old, from, StringComparison.Ordinal) is var place and >= 0; count--)
        {
            result.Append(text, from, place - from).Append(replacement);
            from = place + old.Length;
        }

        return result.Append(text, from, text.Length - from).ToString();
    }

    /// <summary>Lines without their ends; none for an empty text.</summary>
    public static List<string> Lines(string text)
    {
        var lines = text.ReplaceLineEndings("\n").Split('\n').ToList();
        if (lines[^1].Length == 0) lines.RemoveAt(lines.Count - 1);
        return lines;
    }

    public static string Center(string text, int width)
    {
        var blanks = Width(width) - Operators.CodePoints(text);
        if (blanks <= 0) return text;
        var left = (blanks / 2) + (blanks & width & 1);
        return new string(' ', left) + text + new string(' ', blanks - left);
    }

    private static int Width(int width) => Operators.LimitedCount(width, () => Math.Max(0, width));

    private static string Fill(string text, Arguments arguments)
    {
        var blanks = Width(arguments.Whole(0, "width", 0)) - Operators.CodePoints(text);
        if (arguments.Text(1, "fillchar", " ") is not [var fill])
            throw new TemplateException(TemplateErrorKind.TypeError, "the fill character must be exactly one character long");
        return blanks <= 0 ? "" : new string(fill, blanks);
    }

    private static string Part(object? item) => item as string
        ?? throw new TemplateException(
            TemplateErrorKind.TypeError, $"sequence item: expected str instance, {Printing.TypeName(item)} found");

    private static List<object?> Split(string text, object? separator, int max)
    {
        var parts = new List<object?>();
        var rest = separator is null ? text.TrimStart() : text;
        for (; max != 0 && rest.Length > 0; max--)
        {
            var place = separator is null ? IndexOfBlank(rest) : rest.IndexOf(Separator(separator), StringComparison.Ordinal);
            if (place < 0) break;
            parts.Add(rest[..place]);
            rest = separator is null ? rest[place..].TrimStart() : rest[(place + Separator(separator).Length)..];
        }

        if (separator is not null || rest.Length > 0) parts.Add(rest);
        return parts;
    }

    private static List<object?> SplitFromEnd(string text, object? separator, int max)
    {
        if (max < 0) return Split(text, separator, max);
        var parts = new List<object?>();
        var rest = separator is null ? text.TrimEnd() : text;
        for (; max > 0 && rest.Length > 0; max--)
        {
            var place = separator is null ? LastIndexOfBlank(rest) : rest.LastIndexOf(Separator(separator), StringComparison.Ordinal);
            if (place < 0) break;
            parts.Insert(0, rest[(place + (separator is null ? 1 : Separator(separator).Length))..]);
            rest = separator is null ? rest[..place].TrimEnd() : rest[..place];
        }

        if (separator is not null || rest.Length > 0) parts.Insert(0, rest);
        return parts;
    }

    private static string Separator(object? separator) => separator is string { Length: > 0 } text
        ? text
        : throw new TemplateException(TemplateErrorKind.ValueError, "the separator must be a str that is not empty");

    private static int IndexOfBlank(string text)
    {
        for (var i = 0; i < text.Length; i++)
            if (char.IsWhiteSpace(text[i])) return i;
        return -1;
    }

    private static int LastIndexOfBlank(string text)
    {
        for (var i = text.Length - 1; i >= 0; i--)
            if (char.IsWhiteSpace(text[i])) return i;
        return -1;
    }

    private static PythonTuple Partition(string text, string separator, int place, bool first) => place >= 0
        ? new PythonTuple(text[..place], separator, text[(place + separator.Length)..])
        : first ? new PythonTuple(text, "", "") : new PythonTuple("", "", text);

    private static bool Any(object? parts, Func<string, bool> holds) => parts switch
    {
        string part => holds(part),
        PythonTuple tuple => tuple.OfType<string>().Any(holds),
        _ => throw new TemplateException(TemplateErrorKind.TypeError, $"expected str or a tuple of str, not {Printing.TypeName(parts)}"),
    };

    private static BigInteger Place(string text, int unit) => unit < 0 ? -1 : Operators.CodePoints(text[..unit]);

    private static int Count(string text, string part)
    {
        if (part.Length == 0) return Operators.CodePoints(text) + 1;
        var count = 0;
        for (
            var i = text.IndexOf(part, StringComparison.Ordinal);
            i >= 0;
            i = text.IndexOf(part, i + part.Length, StringComparison.Ordinal))
            count++;
        return count;
    }

    private static bool IsCase(string text, Func<char, bool> wanted, Func<char, bool> other) => text.Any(wanted) && !text.Any(other);

    private static string Title(string text)
    {
        var (result, word) = (new StringBuilder(text.Length), new StringBuilder());
        foreach (var rune in text.EnumerateRunes())
        {
            if (Rune.IsLetter(rune))
            {
                word.Append(rune.ToString());
                continue;
            }

            result.Append(CaseMapping.Capitalize(word.ToString())).Append(rune.ToString());
            word.Clear();
        }

        return result.Append(CaseMapping.Capitalize(word.ToString())).ToString();
    }
}
