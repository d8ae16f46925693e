using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Methods of Python's <c>str</c>. Places and widths are counted in code points.</summary>
internal static partial class StringMethods
{
    private const string Part = "sub, start?, end?, /";
    private const string Padding = "width, fillchar?, /";

    private static readonly Dictionary<string, (Signature Takes, Func<string, Arguments, object?> Run)> s_methods = new()
    {
        ["strip"] = ("chars?, /", (text, given) => Strip(text, Letters(given), start: true, end: true)),
        ["lstrip"] = ("chars?, /", (text, given) => Strip(text, Letters(given), start: true, end: false)),
        ["rstrip"] = ("chars?, /", (text, given) => Strip(text, Letters(given), start: false, end: true)),
        ["split"] = ("sep?, maxsplit?", (text, given) => Split(text, Separator(given), given.Whole(1, "maxsplit", -1))),
        ["rsplit"] = ("sep?, maxsplit?", (text, given) => SplitFromEnd(text, Separator(given), given.Whole(1, "maxsplit", -1))),
        ["splitlines"] = ("keepends?", (text, given) => Lines(text, given.Truth(0, "keepends")).Cast<object?>().ToList()),
        ["partition"] = ("sep, /", (text, given) => Partition(text, given, last: false)),
        ["rpartition"] = ("sep, /", (text, given) => Partition(text, given, last: true)),
        ["join"] = ("iterable, /", (text, given) => string.Join(text, Operators.Items(given.Required(0, "iterable")).Select(Joined))),
        ["replace"] = ("old, new, count?, /", (text, given) =>
            Replace(text, given.Text(0, "old"), given.Text(1, "new"), given.Whole(2, "count", -1))),
        ["upper"] = ("", (text, _) => CaseMapping.Upper(text)),
        ["lower"] = ("", (text, _) => CaseMapping.Lower(text)),
        ["casefold"] = ("", (text, _) => CaseMapping.Fold(text)),
        ["title"] = ("", (text, _) => CaseMapping.Title(text)),
        ["capitalize"] = ("", (text, _) => CaseMapping.Capitalize(text)),
        ["swapcase"] = ("", (text, _) => CaseMapping.Swap(text)),
        ["startswith"] = ("prefix, start?, end?, /", (text, given) =>
            AnyOf(text, given, (window, part) => window.StartsWith(part, StringComparison.Ordinal))),
        ["endswith"] = ("suffix, start?, end?, /", (text, given) =>
            AnyOf(text, given, (window, part) => window.EndsWith(part, StringComparison.Ordinal))),
        ["removeprefix"] = ("prefix, /", (text, given) =>
            given.Text(0, "prefix") is var prefix && text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text),
        ["removesuffix"] = ("suffix, /", (text, given) =>
            given.Text(0, "suffix") is var suffix && text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text),
        ["find"] = (Part, (text, given) => (BigInteger)Find(text, given, last: false)),
        ["rfind"] = (Part, (text, given) => (BigInteger)Find(text, given, last: true)),
        ["index"] = (Part, (text, given) => (BigInteger)Found(Find(text, given, last: false))),
        ["rindex"] = (Part, (text, given) => (BigInteger)Found(Find(text, given, last: true))),
        ["count"] = (Part, (text, given) => (BigInteger)(Window(text, given) is { } window ? Count(window.Text, given.Text(0, "sub")) : 0)),
        ["isdigit"] = ("", (text, _) => CaseMapping.All(text, CaseMapping.IsDigit)),
        ["isdecimal"] = ("", (text, _) => CaseMapping.All(text, Rune.IsDigit)),
        ["isnumeric"] = ("", (text, _) => CaseMapping.All(text, CaseMapping.IsNumeric)),
        ["isalpha"] = ("", (text, _) => CaseMapping.All(text, Rune.IsLetter)),
        ["isalnum"] = ("", (text, _) => CaseMapping.All(text, rune => Rune.IsLetter(rune) || CaseMapping.IsNumeric(rune))),
        ["isspace"] = ("", (text, _) => text.Length > 0 && text.All(IsBlank)),
        ["isupper"] = ("", (text, _) => CaseMapping.IsUpper(text)),
        ["islower"] = ("", (text, _) => CaseMapping.IsLower(text)),
        ["istitle"] = ("", (text, _) => CaseMapping.IsTitle(text)),
        ["isascii"] = ("", (text, _) => text.All(char.IsAscii)),
        ["isprintable"] = ("", (text, _) => text.EnumerateRunes().All(Printing.IsPrintable)),
        ["isidentifier"] = ("", (text, _) => IsName(text)),
        ["ljust"] = (Padding, (text, given) => Pad(text, given, left: 0)),
        ["rjust"] = (Padding, (text, given) => Pad(text, given, left: 1)),
        ["center"] = (Padding, (text, given) => Pad(text, given, left: null)),
        ["zfill"] = ("width, /", (text, given) => FillWithZeros(text, Width(given))),
        ["expandtabs"] = ("tabsize?", (text, given) => ExpandTabs(text, given.Whole(0, "tabsize", 8))),
        ["format"] = ("*, **", StringFormat.Braces),
        ["format_map"] = ("mapping, /", (text, given) => StringFormat.Braces(text, StringFormat.Mapping(given.Required(0, "mapping")))),
        ["translate"] = ("table, /", (text, given) => Translate(text, given.Required(0, "table"))),
    };

    public static Function? Method(string text, string name) => s_methods.TryGetValue(name, out var method)
        ? new Function(name, method.Takes, given => method.Run(text, given.Plain()))
        : null;

    public static string Strip(string text, string? letters, bool start, bool end)
    {
        var set = letters?.EnumerateRunes().ToHashSet();
        var (from, to) = (0, text.Length);
        while (start && from < to && Goes(Rune.GetRuneAt(text, from))) from += Rune.GetRuneAt(text, from).Utf16SequenceLength;
        while (end && to > from && Before(to) is var last && Goes(last)) to -= last.Utf16SequenceLength;
        return text[from..to];

        Rune Before(int place) => Rune.DecodeLastFromUtf16(text.AsSpan(0, place), out var rune, out _) is 0 ? rune : Rune.ReplacementChar;
        bool Goes(Rune rune) => set is null ? rune.IsBmp && IsBlank((char)rune.Value) : set.Contains(rune);
    }

    /// <summary>Replaces the first so many occurrences; all where the number is negative. An empty text stands between all
    /// characters.</summary>
    public static string Replace(string text, string old, string replacement, int count)
    {
        if (count == 0) return text;
        Operators.LimitedCount(text.Length + ((long)Count(text, old) * replacement.Length), () => 0);
        if (old.Length == 0) return Interleave(text, replacement, count < 0 ? int.MaxValue : count);
        if (count < 0) return text.Replace(old, replacement, StringComparison.Ordinal);
        var (result, from) = (new StringBuilder(), 0);
        for (; count > 0 && text.IndexOf(old, from, StringComparison.Ordinal) is var place and >= 0; count--)
        {
            result.Append(text, from, place - from).Append(replacement);
            from = place + old.Length;
        }

        return result.Append(text, from, text.Length - from).ToString();
    }

    /// <summary>Lines as Python divides them, with their ends where <paramref name="keepEnds"/>; none for an empty text.</summary>
    public static List<string> Lines(string text, bool keepEnds)
    {
        var (lines, from) = (new List<string>(), 0);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] is not ('\n' or '\r' or '\v' or '\f' or (>= '\x1c' and <= '\x1e') or '\x85' or '\u2028' or '\u2029')) continue;
            var end = i;
            if (text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n') i++;
            lines.Add(text[from..(keepEnds ? i + 1 : end)]);
            from = i + 1;
        }

        if (from < text.Length) lines.Add(text[from..]);
        return lines;
    }

    /// <summary>A text in the middle of blanks.</summary>
    public static string Center(string text, int width) => Pad(text, width, " ", left: null);

    /// <summary>A text that is filled to a width.</summary>
    /// <param name="left">How much of what is missing goes to the left, 0 or 1; where null half of it, as <c>str.center</c> rounds.</param>
    public static string Pad(string text, int width, string fill, int? left)
    {
        var missing = Operators.LimitedCount(width, () => width) - Operators.CodePoints(text);
        if (missing <= 0) return text;
        var before = left is { } share ? share * missing : (missing / 2) + (missing & width & 1);
        return Repeated(fill, before) + text + Repeated(fill, missing - before);
    }

    private static string Pad(string text, Arguments given, int? left)
    {
        var fill = given.Text(1, "fillchar", " ");
        if (Operators.CodePoints(fill) != 1)
            throw new TemplateException(TemplateErrorKind.TypeError, "the fill character must be exactly one character long");
        return Pad(text, Width(given), fill, left);
    }

    private static string FillWithZeros(string text, int width)
    {
        var sign = text is ['+' or '-', ..] ? 1 : 0;
        return text[..sign] + Pad(text[sign..], width - sign, "0", left: 1);
    }

    private static string ExpandTabs(string text, int size)
    {
        var (result, column) = (new StringBuilder(), 0);
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value == '\t')
            {
                var blanks = size > 0 ? size - (column % size) : 0;
                Operators.LimitedCount(result.Length + (long)blanks, () => 0);
                result.Append(' ', blanks);
                column += blanks;
                continue;
            }

            result.Append(rune.ToString());
            column = rune.Value is '\n' or '\r' ? 0 : column + 1;
        }

        return result.ToString();
    }

    private static string Translate(string text, object? table)
    {
        var result = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (table is not PythonDictionary dictionary || !dictionary.TryGet((BigInteger)rune.Value, out var to)) to = rune.ToString();
            result.Append(to is BigInteger code ? StringFormat.Character(code) : Printing.Text(to ?? ""));
        }

        return result.ToString();
    }

    private static string Repeated(string fill, int times) => new StringBuilder().Insert(0, fill, times).ToString();

    private static int Width(Arguments given) => given.Whole(0, "width", 0);

    private static string Joined(object? item) => SafeText.Plain(item) as string
        ?? throw new TemplateException(
            TemplateErrorKind.TypeError, $"sequence item: expected str instance, {Printing.TypeName(item)} found");

    private static string Interleave(string text, string between, int count)
    {
        var result = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (count-- > 0) result.Append(between);
            result.Append(rune.ToString());
        }

        return count > 0 ? result.Append(between).ToString() : result.ToString();
    }

    /// <summary>A name as Python allows them.</summary>
    private static bool IsName(string text) => text.Length > 0 && !char.IsAsciiDigit(text[0])
        && text.EnumerateRunes().All(rune => rune.Value == '_' || Rune.IsLetterOrDigit(rune));
}
