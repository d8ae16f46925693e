using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Python's two ways to put values into a text: <c>'%s' % x</c> and <c>'{}'.format(x)</c>.</summary>
internal static class StringFormat
{
    /// <summary><c>format % values</c> with %s, %r, %d, %i, %f, %x, %c and %%, width, precision, and the flags - and 0.</summary>
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
            var field = Field.Read(format, ref i);
            if (field.Kind == '%') text.Append('%');
            else if (key is not null) text.Append(field.Show(named));
            else if (next < items.Count) text.Append(field.Show(items[next++]));
            else throw new TemplateException(TemplateErrorKind.TypeError, "not enough arguments for format string");
        }

        return next < items.Count && values is not PythonDictionary
            ? throw new TemplateException(TemplateErrorKind.TypeError, "not all arguments converted during string formatting")
            : text.ToString();
    }

    /// <summary><c>format.format(values)</c> with {}, {0} and {name}; without format specifications.</summary>
    public static string Braces(string format, Arguments values)
    {
        var (text, next) = (new StringBuilder(), 0);
        for (var i = 0; i < format.Length; i++)
        {
            var letter = format[i];
            if (letter is '{' or '}' && i + 1 < format.Length && format[i + 1] == letter)
            {
                text.Append(letter);
                i++;
            }
            else if (letter == '{')
            {
                var end = format.IndexOf('}', i);
                if (end < 0) throw new TemplateException(TemplateErrorKind.ValueError, "expected '}' before end of string");
                var field = format[(i + 1)..end];
                if (field.Length == 0) field = (next++).ToString(CultureInfo.InvariantCulture);
                if (int.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out var place))
                {
                    if (place >= values.Positional.Count)
                        throw new TemplateException(TemplateErrorKind.ValueError, $"there is no value {place} to format");
                    text.Append(Printing.Text(values.Positional[place]));
                }
                else if (values.Named.TryGetValue(field, out var named))
                {
                    text.Append(Printing.Text(named));
                }
                else
                {
                    throw new TemplateException(TemplateErrorKind.ValueError, $"there is no value '{field}' to format");
                }

                i = end;
            }
            else
            {
                text.Append(letter);
            }
        }

        return text.ToString();
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
        values is PythonDictionary dictionary && dictionary.TryGet(key, out var value)
            ? value
            : throw Invalid("format requires a mapping with the key");

    private static int? Number(string format, ref int i)
    {
        var start = i;
        while (i < format.Length && char.IsAsciiDigit(format[i])) i++;
        if (start == i) return null;
        return
            int.TryParse(format.AsSpan(start, i - start), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= 1000
            ? number
            : throw Invalid("too wide");
    }

    private static string Convert(char kind, object? value, int? precision)
    {
        switch (kind)
        {
            case 's':
                var text = Printing.Text(value);
                return precision is { } max && max < text.Length ? text[..max] : text;
            case 'r': return Printing.Represent(value);
            case 'c' when value is string: return (string)value;
            case 'd' or 'i' or 'x' or 'X' or 'f' or 'e' or 'g' when value is BigInteger or bool or double:
                var number = value is double real ? real : (double)Operators.WholeOf(value);
                var whole = value is double ? new BigInteger(number) : Operators.WholeOf(value);
                return kind switch
                {
                    'd' or 'i' => whole.ToString(CultureInfo.InvariantCulture),
                    'x' => Hexadecimal(whole),
                    'X' => Hexadecimal(whole).ToUpperInvariant(),
                    'f' => number.ToString("F" + (precision ?? 6), CultureInfo.InvariantCulture),
                    'e' => Exponent(number, precision ?? 6),
                    _ => number.ToString("G" + (precision ?? 6), CultureInfo.InvariantCulture),
                };
            default:
                throw new TemplateException(
                    TemplateErrorKind.TypeError, $"%{kind} format: a number is required, not {Printing.TypeName(value)}");
        }
    }

    private static string Hexadecimal(BigInteger number) =>
        (number.Sign < 0 ? "-" : "")
        + (number.IsZero ? "0" : BigInteger.Abs(number).ToString("x", CultureInfo.InvariantCulture).TrimStart('0'));

    private static string Exponent(double number, int precision) =>
        number.ToString("0." + new string('0', precision) + "e+00", CultureInfo.InvariantCulture);

    private static TemplateException Invalid(string why) => new(TemplateErrorKind.ValueError, $"invalid format string: {why}");

    /// <summary>A field of <see cref="Percent"/>, from its flags on.</summary>
    private readonly record struct Field(char Kind, bool LeftAligned, bool Zeros, int Width, int? Precision)
    {
        /// <summary>Reads a field and leaves <paramref name="i"/> at its last letter.</summary>
        public static Field Read(string format, ref int i)
        {
            var start = i;
            while (i < format.Length && format[i] is '-' or '0' or ' ' or '+' or '#') i++;
            var flags = format.AsSpan(start, i - start);
            var width = Number(format, ref i) ?? 0;
            int? precision = null;
            if (i < format.Length && format[i] == '.')
            {
                i++;
                precision = Number(format, ref i) ?? 0;
            }

            if (i == format.Length) throw Invalid("incomplete format");
            return new Field(format[i], flags.Contains('-'), flags.Contains('0'), width, precision);
        }

        public string Show(object? value)
        {
            var shown = Convert(Kind, value, Precision);
            return LeftAligned ? shown.PadRight(Width) : shown.PadLeft(Width, Zeros ? '0' : ' ');
        }
    }
}
