using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

namespace Tessera.Text.Templates;

/// <summary>Jinja's filters, <c>value | name(arguments)</c>.</summary>
internal static partial class Filters
{
    private delegate object? Filter(object? value, Arguments arguments, Rendering rendering);

    private static readonly Dictionary<string, Filter> s_filters = new()
    {
        ["abs"] = (value, _, _) => Operators.Compare(value, BigInteger.Zero, "<") < 0 ? Operators.Negate(value, minus: true) : value,
        ["attr"] = (value, arguments, _) => Attributes.Get(value, arguments.Text(0, "name")),
        ["batch"] = (value, arguments, _) =>
            Batch(Operators.Items(value), arguments.Whole(0, "linecount", 1), arguments.Get(1, "fill_with")),
        ["capitalize"] = (value, _, _) => CaseMapping.Capitalize(Printing.Text(value)),
        ["center"] = (value, arguments, _) => StringMethods.Center(Printing.Text(value), arguments.Whole(0, "width", 80)),
        ["count"] = (value, _, _) => (BigInteger)Operators.Length(value),
        ["d"] = Default,
        ["default"] = Default,
        ["dictsort"] = DictionarySort,
        ["e"] = (value, _, _) => Escape(Printing.Text(value)),
        ["escape"] = (value, _, _) => Escape(Printing.Text(value)),
        ["first"] = (value, _, _) =>
            Operators.Items(value) is { Count: > 0 } items ? items[0] : new Undefined("No first item, sequence was empty."),
        ["float"] = (value, arguments, _) => (object?)ToReal(value) ?? arguments.Get(0, "default", 0.0),
        ["format"] = (value, arguments, _) => StringFormat.Percent(Printing.Text(value), new PythonTuple([.. arguments.Positional])),
        ["groupby"] = GroupBy,
        ["indent"] = Indent,
        ["int"] = (value, arguments, _) =>
            (object?)ToWhole(value, arguments.Whole(1, "base", 10)) ?? arguments.Get(0, "default", BigInteger.Zero),
        ["items"] = (value, _, _) => value switch
            {
                PythonDictionary dictionary => Attributes.Pairs(dictionary),
                Undefined => new List<object?>(),
                _ => throw new TemplateException(TemplateErrorKind.TypeError, "Can only get item pairs from a mapping."),
            },
        ["join"] = Join,
        ["last"] = (value, _, _) =>
            Operators.Items(value) is { Count: > 0 } items ? items[^1] : new Undefined("No last item, sequence was empty."),
        ["length"] = (value, _, _) => (BigInteger)Operators.Length(value),
        ["list"] = (value, _, _) => Operators.Items(value).ToList(),
        ["lower"] = (value, _, _) => CaseMapping.Lower(Printing.Text(value)),
        ["map"] = Map,
        ["max"] = (value, arguments, _) => Best(Operators.Items(value), arguments, greatest: true),
        ["min"] = (value, arguments, _) => Best(Operators.Items(value), arguments, greatest: false),
        ["reject"] = (value, arguments, _) => Select(value, arguments, byAttribute: false, wanted: false),
        ["rejectattr"] = (value, arguments, _) => Select(value, arguments, byAttribute: true, wanted: false),
        ["replace"] = (value, arguments, _) => StringMethods.Replace(
                Printing.Text(value), Printing.Text(arguments.Required(0, "old")), Printing.Text(arguments.Required(1, "new")),
                arguments.Whole(2, "count", -1)),
        ["reverse"] = (value, _, _) =>
            value is string ? Operators.Slice(value, null, null, BigInteger.MinusOne) : Operators.Items(value).Reverse().ToList(),
        ["round"] = Round,
        ["safe"] = (value, _, _) => Printing.Text(value),
        ["select"] = (value, arguments, _) => Select(value, arguments, byAttribute: false, wanted: true),
        ["selectattr"] = (value, arguments, _) => Select(value, arguments, byAttribute: true, wanted: true),
        ["slice"] = (value, arguments, _) =>
            Columns(Operators.Items(value), arguments.Whole(0, "slices", 1), arguments.Get(1, "fill_with")),
        ["sort"] = Sort,
        ["string"] = (value, _, _) => Printing.Text(value),
        ["striptags"] = (value, _, _) => Blanks().Replace(Tags().Replace(Printing.Text(value), ""), " ").Trim(),
        ["sum"] = (value, arguments, _) => Operators.Items(value).Aggregate(
            arguments.Get(1, "start", BigInteger.Zero),
            (sum, item) => Operators.Binary("+", sum, arguments.Get(0, "attribute") is { } path ? Attributes.Path(item, path) : item)),
        ["title"] = (value, _, _) => WordStarts().Replace(Printing.Text(value), word => CaseMapping.UpperFirst(word.Value)),
        ["tojson"] = ToJson,
        ["trim"] = (value, arguments, _) => StringMethods.Strip(Printing.Text(value), arguments.Get(0, "chars"), start: true, end: true),
        ["truncate"] = Truncate,
        ["unique"] = Unique,
        ["upper"] = (value, _, _) => CaseMapping.Upper(Printing.Text(value)),
        ["urlencode"] = (value, _, _) => Uri.EscapeDataString(Printing.Text(value)).Replace("%2F", "/", StringComparison.Ordinal),
        ["wordcount"] = (value, _, _) => (BigInteger)Words().Count(Printing.Text(value)),
    };

    public static bool Exists(string name) => s_filters.ContainsKey(name);

    public static object? Apply(string name, object? value, Arguments arguments, Rendering rendering) =>
        s_filters.TryGetValue(name, out var filter)
            ? filter(value, arguments, rendering)
            : throw new TemplateException(TemplateErrorKind.SyntaxError, $"there is no filter named '{name}'");

    private static object? Default(object? value, Arguments arguments, Rendering rendering) =>
        value is Undefined || (arguments.Truth(1, "boolean") && !Operators.IsTrue(value)) ? arguments.Get(0, "default_value", "") : value;

    private static string ToJson(object? value, Arguments arguments, Rendering rendering)
    {
        if (value is Undefined undefined) throw undefined.Error();
        var indent = arguments.Get(1, "indent") switch
        {
            null => null,
            string text => text,
            BigInteger blanks => new string(' ', (int)BigInteger.Clamp(blanks, 0, 100)),
            var other => throw new TemplateException(
                TemplateErrorKind.TypeError, $"indent must be int or str, not {Printing.TypeName(other)}"),
        };
        var separators = arguments.Get(2, "separators") is { } given ? Operators.Items(given) : [indent is null ? ", " : ",", ": "];
        if (separators.Count != 2) throw new TemplateException(TemplateErrorKind.ValueError, "separators are two texts");
        return new JsonPrinting(
            indent,
            Printing.Text(separators[0]),
            Printing.Text(separators[1]),
            arguments.Truth(3, "sort_keys"),
            arguments.Truth(0, "ensure_ascii")
        ).Print(value);
    }

    private static string Join(object? value, Arguments arguments, Rendering rendering)
    {
        var path = arguments.Get(1, "attribute");
        var parts = Operators.Items(value).Select(item => Printing.Text(path is null ? item : Attributes.Path(item, path)));
        return string.Join(arguments.Get(0, "d", "") is { } between ? Printing.Text(between) : "", parts);
    }

    private static List<object?> Map(object? value, Arguments arguments, Rendering rendering)
    {
        var items = Operators.Items(value);
        if (arguments.Named.TryGetValue("attribute", out var path))
        {
            var otherwise = arguments.Named.TryGetValue("default", out var given) ? given : null;
            return items
                .Select(item => Attributes.Path(item, path) is var found && found is Undefined && otherwise is not null ? otherwise : found)
                .ToList();
        }

        var name = arguments.Text(0, "filter");
        return items.Select(item => Apply(name, item, arguments.Rest(1), rendering)).ToList();
    }

    private static List<object?> Select(object? value, Arguments arguments, bool byAttribute, bool wanted)
    {
        var path = byAttribute ? arguments.Required(0, "attribute") : null;
        var skip = byAttribute ? 1 : 0;
        var test = arguments.Positional.Count > skip ? arguments.Text(skip, "test") : null;
        var rest = arguments.Rest(skip + 1);
        return Operators.Items(value).Where(item =>
        {
            var tested = byAttribute ? Attributes.Path(item, path) : item;
            return (test is null ? Operators.IsTrue(tested) : ValueTests.Holds(test, tested, rest)) == wanted;
        }).ToList();
    }

    private static List<object?> Batch(IReadOnlyList<object?> items, int size, object? fill)
    {
        if (size < 1) throw new TemplateException(TemplateErrorKind.ValueError, "batches have one item at least");
        return items.Chunk(size).Select(chunk => (object?)(fill is null || chunk.Length == size
            ? chunk.ToList()
            : [.. chunk, .. Enumerable.Repeat(fill, Operators.LimitedCount(size, () => size) - chunk.Length)])).ToList();
    }

    private static List<object?> Columns(IReadOnlyList<object?> items, int columns, object? fill)
    {
        if (columns < 1) throw new TemplateException(TemplateErrorKind.ValueError, "there is one slice at least");
        Operators.LimitedCount(columns, () => 0);
        var (each, longer) = Math.DivRem(items.Count, columns);
        return Enumerable.Range(0, columns).Select(column =>
        {
            var start = (column * each) + Math.Min(column, longer);
            var part = items.Skip(start).Take(each + (column < longer ? 1 : 0)).ToList();
            if (fill is not null && column >= longer && longer > 0) part.Add(fill);
            return (object?)part;
        }).ToList();
    }

    private static string Indent(object? value, Arguments arguments, Rendering rendering)
    {
        var prefix = arguments.Get(0, "width") switch
        {
            string text => text,
            _ => new string(' ', Math.Clamp(arguments.Whole(0, "width", 4), 0, 1000)),
        };
        var (first, blank) = (arguments.Truth(1, "first"), arguments.Truth(2, "blank"));
        var lines = StringMethods.Lines(Printing.Text(value) + "\n");
        return string.Join('\n', lines.Select((line, i) => (i == 0 ? first : blank || line.Length > 0) ? prefix + line : line));
    }

    private static string Truncate(object? value, Arguments arguments, Rendering rendering)
    {
        var text = Printing.Text(value);
        var end = arguments.Text(2, "end", "...");
        var length = arguments.Whole(0, "length", 255);
        if (Operators.CodePoints(text) <= length + arguments.Whole(3, "leeway", 5)) return text;
        var start = (string)Operators.Slice(text, null, (BigInteger)Math.Max(0, length - Operators.CodePoints(end)), null)!;
        if (!arguments.Truth(1, "killwords") && start.LastIndexOf(' ') is var blank and >= 0) start = start[..blank];
        return start + end;
    }

    private static object? Round(object? value, Arguments arguments, Rendering rendering)
    {
        if (value is BigInteger) return value;
        var number = ToReal(value)
            ?? throw new TemplateException(TemplateErrorKind.TypeError, $"type {Printing.TypeName(value)} cannot be rounded");
        var digits = arguments.Whole(0, "precision", 0);
        var method = arguments.Text(1, "method", "common");
        if (Math.Abs(digits) > 15) return number;
        var scale = Math.Pow(10, digits);
        return method switch
        {
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            "common" => digits >= 0 ? Math.Round(number, digits, MidpointRounding.ToEven) : Math.Round(number * scale) / scale,
            _ => throw new TemplateException(TemplateErrorKind.ValueError, "method must be common, ceil or floor"),
        };
    }

    private static double? ToReal(object? value) => value switch
    {
        double number => number,
        bool or BigInteger => (double)Operators.WholeOf(value),
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
        _ => null,
    };

    private static BigInteger? ToWhole(object? value, int radix)
    {
        switch (value)
        {
            case bool or BigInteger: return Operators.WholeOf(value);
            case double number when double.IsFinite(number): return new BigInteger(number);
            case string text when radix == 16 && text.Length < 1000
                    && BigInteger.TryParse(
                        "0" + text.Replace("0x", "", StringComparison.OrdinalIgnoreCase), NumberStyles.AllowHexSpecifier,
                        CultureInfo.InvariantCulture, out var hexadecimal):
                return hexadecimal;
            case string text
                when text.Length < 1000 && BigInteger.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var whole):
                return whole;
            case string text when ToReal(text) is { } real && double.IsFinite(real): return new BigInteger(real);
            default: return null;
        }
    }

    private static string Escape(string text) =>
        text.Replace("&", "&amp;", StringComparison.Ordinal)
            .Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace(">", "&gt;", StringComparison.Ordinal)
            .Replace("'", "&#39;", StringComparison.Ordinal)
            .Replace("\"", "&#34;", StringComparison.Ordinal);

    [GeneratedRegex(@"[^-\s({\[<]+")]
    private static partial Regex WordStarts();

    [GeneratedRegex(@"\w+")]
    private static partial Regex Words();

    [GeneratedRegex("<!--.*?-->|<[^>]*>", RegexOptions.Singleline)]
    private static partial Regex Tags();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
