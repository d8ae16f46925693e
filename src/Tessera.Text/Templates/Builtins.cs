using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>Names that every template knows.</summary>
internal static class Builtins
{
    private const int LongestRange = 100_000;

    public static object? Find(string name, Rendering rendering) => name switch
    {
        "range" => new Function(name, "start, stop?, step?, /", Range),
        "dict" => new Function(name, "mapping?, /, **", MakeDictionary),
        "namespace" => new Function(name, "mapping?, /, **", MakeNamespace),
        "cycler" => new Function(name, "*", given => new Cycler(given.Positional)),
        "joiner" => new Function(name, "sep?", given => MakeJoiner(given.Text(0, "sep", ", "))),
        "lipsum" => new Function(name, "*, **", _ => throw new TemplateException(
            TemplateErrorKind.SecurityError, "lipsum() makes random text, which a chat template may not")),
        "self" => rendering.Blocks,
        "raise_exception" => new Function(name, "message", given =>
            throw new TemplateException(TemplateErrorKind.TemplateError, Printing.Text(given.Required(0, "message")))),
        "strftime_now" => new Function(name, "format", given => Format(rendering.Now, given.Text(0, "format"))),
        _ => null,
    };

    /// <summary>Gives nothing the first time it is called, then the separator.</summary>
    private static Function MakeJoiner(string separator)
    {
        var used = false;
        return new Function("joiner", "", _ =>
        {
            if (used) return separator;
            used = true;
            return "";
        });
    }

    private static PythonRange Range(Arguments arguments)
    {
        var numbers = arguments.Positional.Select(value => value is BigInteger or bool
                    ? Operators.WholeOf(value)
                    : throw new TemplateException(
                        TemplateErrorKind.TypeError, $"'{Printing.TypeName(value)}' object cannot be interpreted as an integer"))
            .ToList();
        var (start, stop, by) = numbers.Count == 1 ? (0, numbers[0], 1) : (numbers[0], numbers[1], numbers.Count == 3 ? numbers[2] : 1);
        if (by.IsZero) throw new TemplateException(TemplateErrorKind.ValueError, "range() arg 3 must not be zero");
        var count = by > 0 ? (stop - start + by - 1) / by : (start - stop - by - 1) / -by;
        if (count > LongestRange)
            throw new TemplateException(
                TemplateErrorKind.OverflowError, $"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({LongestRange}).");
        return new PythonRange(start, stop, by, (int)BigInteger.Max(0, count));
    }

    private static PythonDictionary MakeDictionary(Arguments arguments)
    {
        var dictionary = new PythonDictionary();
        if (arguments.Positional is [var given])
        {
            foreach (var pair in given is PythonDictionary other ? Attributes.Pairs(other) : Operators.Items(given))
            {
                if (pair is not (string or IReadOnlyList<object?> or PythonDictionary))
                    throw new TemplateException(TemplateErrorKind.TypeError, $"a dict is made of pairs, not of {Printing.TypeName(pair)}");
                if (Operators.Items(pair) is not { Count: 2 } entry)
                    throw new TemplateException(TemplateErrorKind.ValueError, "a dict is made of pairs");
                dictionary[entry[0]] = entry[1];
            }
        }

        foreach (var (name, value) in arguments.Named) dictionary[name] = value;
        return dictionary;
    }

    private static NamespaceValue MakeNamespace(Arguments arguments)
    {
        var space = new NamespaceValue();
        if (arguments.Positional is [var given])
            foreach (var (key, value) in MakeDictionary(Arguments.Of(given)).Entries) space.Set(Printing.Text(key), value);
        foreach (var (name, value) in arguments.Named) space.Set(name, value);
        return space;
    }

    /// <summary>C's <c>strftime</c> in the C locale.</summary>
    private static string Format(DateTime now, string format)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            var plain = format[++i] == '-' && i + 1 < format.Length;
            if (plain) i++;
            var part = Part(now, format[i]) ?? $"%{format[i]}";
            text.Append(plain && part.TrimStart('0') is { Length: > 0 } shorter ? shorter : part);
        }

        return text.ToString();
    }

    private static string? Part(DateTime now, char directive) => directive switch
    {
        'Y' => now.In("yyyy"),
        'y' => now.In("yy"),
        'm' => now.In("MM"),
        'd' => now.In("dd"),
        'e' => now.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
        'H' => now.In("HH"),
        'I' => now.In("hh"),
        'M' => now.In("mm"),
        'S' => now.In("ss"),
        'f' => now.In("ffffff"),
        'p' => now.In("tt"),
        'A' => now.In("dddd"),
        'a' => now.In("ddd"),
        'B' => now.In("MMMM"),
        'b' or 'h' => now.In("MMM"),
        'j' => now.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
        'F' => now.In("yyyy-MM-dd"),
        'T' => now.In("HH:mm:ss"),
        'D' => now.In("MM/dd/yy"),
        'w' => ((int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'u' => (now.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)now.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        '%' => "%",
        'n' => "\n",
        't' => "\t",
        _ => null,
    };

    private static string In(this DateTime now, string format) => now.ToString(format, CultureInfo.InvariantCulture);
}
