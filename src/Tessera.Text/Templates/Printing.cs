using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Values as text: Python's <c>str</c>, <c>repr</c> and <c>json.dumps</c>.</summary>
internal static class Printing
{
    private const int MaxDepth = 100;

    /// <summary>How Python calls the type of a value.</summary>
    public static string TypeName(object? value) => value switch
    {
        null => "NoneType",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        string => "str",
        List<object?> => "list",
        PythonTuple => "tuple",
        PythonRange => "range",
        PythonDictionary => "dict",
        SafeText => "Markup",
        Undefined => "Undefined",
        Function => "function",
        IAttributes other => other.TypeName,
        _ => value.GetType().Name,
    };

    /// <summary>What <c>{{ value }}</c> prints.</summary>
    public static string Text(object? value) => value switch
    {
        string text => text,
        SafeText safe => safe.Text,
        Undefined => "",
        _ => Represent(value),
    };

    /// <summary>Python's <c>repr</c>.</summary>
    public static string Represent(object? value)
    {
        var text = new StringBuilder();
        Represent(value, text, 0);
        return text.ToString();
    }

    /// <summary>Python's <c>repr</c> of a float: the fewest digits that give it back, 1e+16 and 1e-05 beyond.</summary>
    public static string Number(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        var shortest = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture).Split('E');
        var (whole, fractional) = shortest[0].Split('.') is [var left, var right] ? (left, right) : (shortest[0], "");
        var sign = double.IsNegative(value) ? "-" : "";
        var all = whole + fractional;
        var digits = all.TrimStart('0').TrimEnd('0') is { Length: > 0 } some ? some : "0";
        var power = shortest.Length > 1 ? int.Parse(shortest[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) : 0;
        var exponent = value == 0 ? 0 : whole.Length - 1 - (all.Length - all.TrimStart('0').Length) + power;
        if (exponent is < -4 or >= 16)
        {
            var fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }

        if (exponent < 0) return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        return digits.Length <= exponent + 1
            ? $"{sign}{digits.PadRight(exponent + 1, '0')}.0"
            : $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    private static void Represent(object? value, StringBuilder text, int depth)
    {
        if (depth > MaxDepth || text.Length > Operators.MaxItems)
            throw new TemplateException(TemplateErrorKind.OverflowError, "the value is too large or nested too deeply to be printed");
        switch (value)
        {
            case null: text.Append("None"); break;
            case bool truth: text.Append(truth ? "True" : "False"); break;
            case BigInteger number: text.Append(number.ToString(CultureInfo.InvariantCulture)); break;
            case double number: text.Append(Number(number)); break;
            case string plain: Quote(plain, text); break;
            case List<object?> list: All(list, '[', ']'); break;
            case PythonTuple tuple: All(tuple, '(', ')'); break;
            case PythonDictionary dictionary:
                var first = true;
                text.Append('{');
                foreach (var (key, item) in dictionary.Entries)
                {
                    if (!first) text.Append(", ");
                    first = false;
                    Represent(key is DBNull ? null : key, text, depth + 1);
                    text.Append(": ");
                    Represent(item, text, depth + 1);
                }

                text.Append('}');
                break;
            case NamespaceValue space:
                text.Append("<Namespace ");
                Represent(space.ToDictionary(), text, depth + 1);
                text.Append('>');
                break;
            case PythonRange range: text.Append(range); break;
            case SafeText safe:
                text.Append("Markup(");
                Quote(safe.Text, text);
                text.Append(')');
                break;
            case Undefined: text.Append("Undefined"); break;
            case Function function: text.Append(CultureInfo.InvariantCulture, $"<function {function.Name}>"); break;
            default: text.Append(CultureInfo.InvariantCulture, $"<{TypeName(value)}>"); break;
        }

        void All(IReadOnlyList<object?> items, char open, char close)
        {
            text.Append(open);
            for (var i = 0; i < items.Count; i++)
            {
                if (i > 0) text.Append(", ");
                Represent(items[i], text, depth + 1);
            }

            if (items.Count == 1 && close == ')') text.Append(',');
            text.Append(close);
        }
    }

    private static void Quote(string plain, StringBuilder text)
    {
        var quote = plain.Contains('\'') && !plain.Contains('"') ? '"' : '\'';
        text.Append(quote);
        foreach (var rune in plain.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case '\\': text.Append(@"\\"); break;
                case '\n': text.Append(@"\n"); break;
                case '\r': text.Append(@"\r"); break;
                case '\t': text.Append(@"\t"); break;
                case var code when code == quote: text.Append('\\').Append(quote); break;
                case var code when IsPrintable(rune): text.Append(rune.ToString()); break;
                case < 0x100: text.Append(CultureInfo.InvariantCulture, $@"\x{rune.Value:x2}"); break;
                case < 0x10000: text.Append(CultureInfo.InvariantCulture, $@"\u{rune.Value:x4}"); break;
                default: text.Append(CultureInfo.InvariantCulture, $@"\U{rune.Value:x8}"); break;
            }
        }

        text.Append(quote);
    }

    /// <summary>Whether Python's <c>repr</c> writes a character as it is.</summary>
    public static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
                or UnicodeCategory.OtherNotAssigned
                or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator
                or UnicodeCategory.SpaceSeparator);
}
