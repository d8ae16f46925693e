using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Python's two ways to put values into a text: <c>'%s' % x</c> and <c>'{}'.format(x)</c>.</summary>
internal static class StringFormat
{
    private const int MaxWidth = 10_000;

    /// <summary><c>format % values</c>.</summary>
    public static string Percent(string format, object? values)
    {
        var (text, next) = (new StringBuilder(), 0);
        var items = values is PythonTuple tuple ? tuple : new PythonTuple(values);
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                text.Append(format[i]);
                continue;
            }

            i++;
            var key = Key(format, ref i);
            var named = key is null ? null : Named(values, key);
            var (kind, how, zeros) = Field(format, ref i, Next);
            if (kind == '%') text.Append('%');
            else text.Append(Convert(kind, key is null ? Next() : named, how, zeros));
        }

        return next < items.Count && values is not (PythonDictionary or List<object?>)
            ? throw new TemplateException(TemplateErrorKind.TypeError, "not all arguments converted during string formatting")
            : text.ToString();

        object? Next() => next < items.Count
            ? items[next++]
            : throw new TemplateException(TemplateErrorKind.TypeError, "not enough arguments for format string");
    }

    /// <summary><c>format.format(values)</c> with {}, {0}, {name}, {0.attribute[key]}, !r, !s, !a and format specifications.</summary>
    public static string Braces(string format, Arguments values)
    {
        int? automatic = 0;
        return Braces(format, values, ref automatic, depth: 2);
    }

    /// <summary>What <c>format_map</c> takes as named values.</summary>
    public static Arguments Mapping(object? mapping) => mapping is PythonDictionary dictionary
        ? new Arguments(
            [], dictionary.Entries.Where(entry => entry.Key is string).ToDictionary(entry => (string)entry.Key, entry => entry.Value))
        : throw new TemplateException(TemplateErrorKind.TypeError, $"format_map() takes a mapping, not {Printing.TypeName(mapping)}");

    private static string Braces(string format, Arguments values, ref int? automatic, int depth)
    {
        if (depth < 0) throw Invalid("Max string recursion exceeded");
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            var letter = format[i];
            if (letter is not ('{' or '}'))
            {
                text.Append(letter);
            }
            else if (i + 1 < format.Length && format[i + 1] == letter)
            {
                text.Append(letter);
                i++;
            }
            else
            {
                if (letter == '}' || i + 1 == format.Length) throw Invalid($"Single '{letter}' encountered in format string");
                var end = End(format, i);
                text.Append(Replaced(format[(i + 1)..end], values, ref automatic, depth));
                i = end;
            }
        }

        return text.ToString();
    }

    private static string Replaced(string field, Arguments values, ref int? automatic, int depth)
    {
        var colon = field.IndexOf(':');
        var (name, specification) = colon < 0 ? (field, "") : (field[..colon], field[(colon + 1)..]);
        var mark = name.IndexOf('!');
        var value = Value(mark < 0 ? name : name[..mark], values, ref automatic);
        if (mark >= 0)
        {
            value = name[(mark + 1)..] switch
            {
                "r" => Printing.Represent(value),
                "s" => Printing.Text(value),
                "a" => Ascii(Printing.Represent(value)),
                var other => throw Invalid($"Unknown conversion specifier {other}"),
            };
        }

        return FormatSpecification.Parse(Braces(specification, values, ref automatic, depth - 1)).Show(value);
    }

    /// <summary>Where the field that begins at a place ends.</summary>
    private static int End(string format, int start)
    {
        var depth = 0;
        for (var i = start; i < format.Length; i++)
        {
            if (format[i] == '{') depth++;
            else if (format[i] == '}' && --depth == 0) return i;
        }

        throw Invalid("expected '}' before end of string");
    }

    private static object? Value(string name, Arguments values, ref int? automatic)
    {
        if (name.Length == 0)
            name = (automatic++ ?? throw Invalid("cannot switch from manual field specification to automatic field numbering"))
                .ToString(CultureInfo.InvariantCulture);
        else if (char.IsAsciiDigit(name[0]))
            automatic = automatic is null or 0 ? null
                : throw Invalid("cannot switch from automatic field numbering to manual field specification");
        var end = name.IndexOfAny(['.', '[']);
        var first = end < 0 ? name : name[..end];
        object? value;
        if (int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var place))
            value = place < values.Positional.Count ? values.Positional[place] : throw Invalid($"there is no value {place} to format");
        else if (!values.Named.TryGetValue(first, out value)) throw Invalid($"there is no value '{first}' to format");
        for (var rest = end < 0 ? "" : name[end..]; rest.Length > 0;)
        {
            var close = rest[0] == '[' ? rest.IndexOf(']') : rest.IndexOfAny(['.', '['], 1);
            if (rest[0] == '[' && close < 0) throw Invalid("Missing ']' in format string");
            var key = rest[1..(close < 0 ? rest.Length : close)];
            if (key.Length == 0 || rest[0] is not ('.' or '[')) throw Invalid("Empty attribute in format string");
            value = rest[0] == '.' ? Attributes.Get(value, key)
                : Attributes.Item(value, key.All(char.IsAsciiDigit) ? BigInteger.Parse(key, CultureInfo.InvariantCulture) : key);
            rest = close < 0 ? "" : rest[(rest[0] == '[' ? close + 1 : close)..];
        }

        return value;
    }

    /// <summary>The name in brackets that a field may begin with.</summary>
    private static string? Key(string format, ref int i)
    {
        if (i == format.Length || format[i] != '(') return null;
        var (start, end) = (i + 1, format.IndexOf(')', i));
        if (end < 0) throw Invalid("incomplete format key");
        i = end + 1;
        return format[start..end];
    }

    private static object? Named(object? values, string key) =>
        values is PythonDictionary dictionary
            ? dictionary.TryGet(key, out var value) ? value : throw Invalid($"there is no value '{key}' to format")
            : throw new TemplateException(TemplateErrorKind.TypeError, "format requires a mapping");

    /// <summary>Reads a field of <c>%</c> from its flags on, and leaves <paramref name="i"/> at its last letter.</summary>
    private static (char Kind, FormatSpecification How, bool Zeros) Field(string format, ref int i, Func<object?> next)
    {
        var start = i;
        while (i < format.Length && format[i] is '-' or '0' or ' ' or '+' or '#') i++;
        var flags = format[start..i];
        var width = Number(format, ref i, next) ?? 0;
        int? precision = null;
        if (i < format.Length && format[i] == '.')
        {
            i++;
            precision = Number(format, ref i, next) ?? 0;
        }

        if (i < format.Length && format[i] is 'h' or 'l' or 'L') i++;
        if (i == format.Length) throw Invalid("incomplete format");
        var left = flags.Contains('-') || width < 0;
        var how = new FormatSpecification
        {
            Align = left ? '<' : '>', Sign = flags.Contains('+') ? '+' : flags.Contains(' ') ? ' ' : null, Alternate = flags.Contains('#'),
            Width = Math.Abs(width), Precision = precision,
        };
        return (format[i], how, flags.Contains('0') && !left);
    }

    private static int? Number(string format, ref int i, Func<object?> next)
    {
        if (i < format.Length && format[i] == '*')
        {
            i++;
            return next() is BigInteger given && BigInteger.Abs(given) <= MaxWidth ? (int)given
                : throw new TemplateException(TemplateErrorKind.TypeError, "* wants int");
        }

        var start = i;
        while (i < format.Length && char.IsAsciiDigit(format[i])) i++;
        if (start == i) return null;
        return int.TryParse(format.AsSpan(start, i - start), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= MaxWidth
                ? number
                : throw Invalid("too wide");
    }

    /// <summary>The character of a code point.</summary>
    /// <exception cref="TemplateException">There is none: the number is no code point, or one of a surrogate.</exception>
    public static string Character(BigInteger code) => code >= 0 && code <= 0x10FFFF && Rune.IsValid((int)code)
        ? new Rune((int)code).ToString()
        : throw new TemplateException(
            code >= 0 && code <= 0x10FFFF ? TemplateErrorKind.ValueError : TemplateErrorKind.OverflowError,
            $"{code} is no code point of a character");

    private static string Convert(char kind, object? value, FormatSpecification how, bool zeros)
    {
        value = SafeText.Plain(value);
        switch (kind)
        {
            case 's' or 'r' or 'a':
                var text = kind == 's' ? Printing.Text(value) : kind == 'r' ? Printing.Represent(value) : Ascii(Printing.Represent(value));
                return (how with { Sign = null }).Show(text);
            case 'c' when value is string letter && Operators.CodePoints(letter) == 1:
                return (how with { Sign = null, Precision = null }).Show(letter);
            case 'c' when value is BigInteger code:
                return (how with { Sign = null, Precision = null }).Show(Character(code));
            case 'c': throw new TemplateException(TemplateErrorKind.TypeError, "%c requires int or char");
        }

        if (zeros) how = how with { Fill = "0", Align = '=' };
        switch (kind)
        {
            case 'd' or 'i' or 'u' or 'o' or 'x' or 'X' when value is BigInteger or bool || (value is double && kind is 'd' or 'i' or 'u'):
                var whole = value is double number ? Whole(number) : Operators.WholeOf(value);
                var (prefix, digits) = FormatSpecification.Digits(BigInteger.Abs(whole), kind is 'i' or 'u' ? 'd' : kind);
                return how.ShowNumber(whole.Sign < 0, how.Alternate ? prefix : "", digits.PadLeft(how.Precision ?? 0, '0'), "");
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G' when value is BigInteger or bool or double:
                var real = value is double own ? own : (double)Operators.WholeOf(value);
                var shown = FormatSpecification.Real(real, kind, how.Precision, how.Alternate);
                return how.ShowNumber(double.IsNegative(real) && !double.IsNaN(real), "", shown, "");
            case 'd' or 'i' or 'u' or 'o' or 'x' or 'X' or 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                throw new TemplateException(
                    TemplateErrorKind.TypeError, $"%{kind} format: a number is required, not {Printing.TypeName(value)}");
            default: throw Invalid($"unsupported format character '{kind}'");
        }
    }

    private static BigInteger Whole(double number) => double.IsFinite(number)
        ? new BigInteger(number)
        : throw new TemplateException(TemplateErrorKind.ValueError, "cannot convert a float that is not finite to integer");

    /// <summary>Characters beyond ASCII as Python's escapes.</summary>
    private static string Ascii(string text) => string.Concat(text.EnumerateRunes().Select(rune => rune.Value switch
    {
        < 0x80 => rune.ToString(),
        < 0x100 => $"\\x{rune.Value:x2}",
        < 0x10000 => $"\\u{rune.Value:x4}",
        _ => $"\\U{rune.Value:x8}",
    }));

    private static TemplateException Invalid(string why) => new(TemplateErrorKind.ValueError, why);
}
