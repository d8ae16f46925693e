using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

// Filters that lay texts out.
internal static partial class Filters
{
    private static string Format(object? value, Arguments given, Rendering rendering)
    {
        if (given.Positional.Count > 0 && given.Named.Count > 0)
            throw new TemplateException(TemplateErrorKind.ValueError, "can't handle positional and keyword arguments at the same time");
        if (given.Named.Count == 0) return StringFormat.Percent(Printing.Text(value), new PythonTuple([.. given.Positional]));
        var named = new PythonDictionary();
        foreach (var (name, item) in given.Named) named[name] = item;
        return StringFormat.Percent(Printing.Text(value), named);
    }

    private static string Indent(object? value, Arguments given, Rendering rendering)
    {
        if (value is not (string or Undefined))
            throw new TemplateException(TemplateErrorKind.TypeError, $"only a str can be indented, not {Printing.TypeName(value)}");
        var prefix = given.Get(0, "width") is string text ? text : new string(' ', Math.Clamp(given.Whole(0, "width", 4), 0, 1000));
        var (first, blank) = (given.Truth(1, "first"), given.Truth(2, "blank"));
        var lines = StringMethods.Lines(Printing.Text(value) + "\n", keepEnds: false);
        return string.Join('\n', lines.Select((line, i) => (i == 0 ? first : blank || line.Length > 0) ? prefix + line : line));
    }

    private static string Truncate(object? value, Arguments given, Rendering rendering)
    {
        var text = Printing.Text(value);
        var end = given.Text(2, "end", "...");
        var (length, leeway) = (given.Whole(0, "length", 255), given.Whole(3, "leeway", 5));
        if (length < Operators.CodePoints(end) || leeway < 0)
            throw new TemplateException(
                TemplateErrorKind.ValueError,
                $"truncate's length is {length}, its leeway {leeway}; allowed: at least {Operators.CodePoints(end)}, and at least 0");
        if (Operators.CodePoints(text) <= length + leeway) return text;
        var start = (string)Operators.Slice(text, null, (BigInteger)(length - Operators.CodePoints(end)), null)!;
        if (!given.Truth(1, "killwords") && start.LastIndexOf(' ') is var blank and >= 0) start = start[..blank];
        return start + end;
    }

    /// <summary>Sizes as people write them: 1.2 kB, or 1.2 KiB where <paramref name="binary"/>.</summary>
    private static string FileSize(object? value, bool binary)
    {
        var bytes = Numbers.Real(value)
            ?? throw new TemplateException(TemplateErrorKind.ValueError, $"a size is a number, not {Printing.TypeName(value)}");
        var unit = binary ? 1024.0 : 1000.0;
        if (bytes == 1) return "1 Byte";
        if (bytes < unit) return $"{(long)bytes} Bytes";
        var power = Enumerable.Range(1, 8).TakeWhile(power => power == 1 || bytes >= Math.Pow(unit, power)).Last();
        var name = "kMGTPEZY"[power - 1].ToString();
        return $"{Decimals.Fixed(bytes / Math.Pow(unit, power), 1)} {(binary ? $"{name.ToUpperInvariant()}iB" : $"{name}B")}";
    }

    private static string UrlEncode(object? value) => value switch
    {
        PythonDictionary dictionary => UrlEncode(Attributes.Pairs(dictionary)),
        IReadOnlyList<object?> pairs => string.Join('&', pairs.Select(pair => Operators.Items(pair) is [var key, var item]
            ? $"{Encoded(key, keepSlashes: false)}={Encoded(item, keepSlashes: false)}"
            : throw new TemplateException(TemplateErrorKind.ValueError, "a query is made of pairs"))),
        _ => Encoded(value, keepSlashes: true),
    };

    /// <summary>A part of a path, or of a query, where blanks are plus signs.</summary>
    private static string Encoded(object? value, bool keepSlashes)
    {
        var text = new StringBuilder();
        foreach (var letter in Encoding.UTF8.GetBytes(Printing.Text(value)))
        {
            if (char.IsAsciiLetterOrDigit((char)letter) || letter is (byte)'_' or (byte)'.' or (byte)'-' or (byte)'~'
                || (letter == '/' && keepSlashes))
                text.Append((char)letter);
            else if (letter == ' ' && !keepSlashes) text.Append('+');
            else text.Append(CultureInfo.InvariantCulture, $"%{letter:X2}");
        }

        return text.ToString();
    }

    /// <summary>Lines of at most so many characters, line by line, cut at blanks and behind hyphens.</summary>
    private static string WordWrap(object? value, Arguments given, Rendering rendering)
    {
        var (width, breakWords) = (given.Whole(0, "width", 79), given.Truth(1, "break_long_words", true));
        var between = given.Get(2, "wrapstring") is null ? "\n" : given.Text(2, "wrapstring");
        var hyphens = given.Truth(3, "break_on_hyphens", true);
        if (width < 1) throw new TemplateException(TemplateErrorKind.ValueError, $"invalid width {width} (must be > 0)");
        return string.Join(
            between, StringMethods.Lines(Printing.Text(value), keepEnds: false)
                .Select(line => string.Join(between, Wrapped(Pieces(line, hyphens), width, breakWords))));
    }

    /// <summary>Words, and the blanks between them; a word with hyphens is several.</summary>
    private static List<string> Pieces(string line, bool hyphens)
    {
        var (pieces, from) = (new List<string>(), 0);
        for (var i = 1; i <= line.Length; i++)
        {
            var cut = i == line.Length || StringMethods.IsBlank(line[i]) != StringMethods.IsBlank(line[i - 1])
                || (hyphens && line[i - 1] == '-' && char.IsLetter(line[i]) && i > from + 1 && char.IsLetter(line[i - 2]));
            if (!cut) continue;
            pieces.Add(line[from..i]);
            from = i;
        }

        return pieces;
    }

    private static List<string> Wrapped(List<string> pieces, int width, bool breakWords)
    {
        var (lines, line) = (new List<string>(), "");
        foreach (var piece in pieces)
        {
            var rest = piece;
            while (line.Length + rest.Length > width && rest.Trim().Length > 0)
            {
                if (rest.Length > width && breakWords)
                {
                    var fits = width - line.Length;
                    line += rest[..fits];
                    rest = rest[fits..];
                }
                else if (line.Length == 0)
                {
                    break;
                }

                if (line.TrimEnd() is { Length: > 0 } full) lines.Add(full);
                line = "";
            }

            if (line.Length + rest.Length > width && rest.Trim().Length == 0) line = line.PadRight(width + 1); // blanks that end a line
            else line += line.Length == 0 && lines.Count > 0 ? rest.TrimStart() : rest;
        }

        if (line.TrimEnd() is { Length: > 0 } last) lines.Add(last);
        return lines;
    }
}
