using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

namespace Tessera.Text.Templates;

/// <summary>Jinja's filters, <c>value | name(arguments)</c>.</summary>
internal static partial class Filters
{
    private delegate object? Filter(object? value, Arguments given, Rendering rendering);

    private const string Casing = "case_sensitive?, attribute?";

    private static readonly Dictionary<string, (Signature Takes, Filter Run)> s_filters = new()
    {
        ["abs"] = ("/", (value, _, _) => Magnitude(value)),
        ["attr"] = ("name", (value, given, _) => Attributes.OwnOf(value, given.Text(0, "name"))),
        ["batch"] = ("linecount, fill_with?", (value, given, _) =>
            Batch(Operators.Items(value), given.Whole(0, "linecount", 1), given.Get(1, "fill_with"))),
        ["capitalize"] = ("", (value, _, _) => CaseMapping.Capitalize(Printing.Text(value))),
        ["center"] = ("width?", (value, given, _) => StringMethods.Center(Printing.Text(value), given.Whole(0, "width", 80))),
        ["count"] = ("/", (value, _, _) => (BigInteger)Operators.Length(value)),
        ["d"] = ("default_value?, boolean?", Default),
        ["default"] = ("default_value?, boolean?", Default),
        ["dictsort"] = ("case_sensitive?, by?, reverse?", DictionarySort),
        ["e"] = ("", (value, _, _) => Escape(value)),
        ["escape"] = ("", (value, _, _) => Escape(value)),
        ["filesizeformat"] = ("binary?", (value, given, _) => FileSize(value, given.Truth(0, "binary"))),
        ["first"] = ("", (value, _, _) =>
            Operators.Items(value) is { Count: > 0 } items ? items[0] : new Undefined("No first item, sequence was empty.")),
        ["float"] = ("default?", (value, given, _) => (object?)Numbers.Real(value) ?? given.Get(0, "default", 0.0)),
        ["forceescape"] = ("", (value, _, _) => Escape(Printing.Text(value))),
        ["format"] = ("*, **", Format),
        ["groupby"] = ("attribute, default?, case_sensitive?", GroupBy),
        ["indent"] = ("width?, first?, blank?", Indent),
        ["int"] = ("default?, base?", (value, given, _) =>
            (object?)Numbers.Whole(value, given.Whole(1, "base", 10)) ?? given.Get(0, "default", BigInteger.Zero)),
        ["items"] = ("", (value, _, _) => value switch
        {
            PythonDictionary dictionary => Attributes.Pairs(dictionary),
            Undefined => new List<object?>(),
            _ => throw new TemplateException(TemplateErrorKind.TypeError, "Can only get item pairs from a mapping."),
        }),
        ["join"] = ("d?, attribute?", Join),
        ["last"] = ("", (value, _, _) =>
            Operators.Items(value) is { Count: > 0 } items ? items[^1] : new Undefined("No last item, sequence was empty.")),
        ["length"] = ("/", (value, _, _) => (BigInteger)Operators.Length(value)),
        ["list"] = ("", (value, _, _) => Operators.Items(value).ToList()),
        ["lower"] = ("", (value, _, _) => CaseMapping.Lower(Printing.Text(value))),
        ["map"] = ("*, **", Map),
        ["max"] = (Casing, (value, given, _) => Best(Operators.Items(value), given, greatest: true)),
        ["min"] = (Casing, (value, given, _) => Best(Operators.Items(value), given, greatest: false)),
        ["reject"] = ("*, **", (value, given, _) => Select(value, given, byAttribute: false, wanted: false)),
        ["rejectattr"] = ("*, **", (value, given, _) => Select(value, given, byAttribute: true, wanted: false)),
        ["replace"] = ("old, new, count?", Replace),
        ["reverse"] = ("", Reverse),
        ["round"] = ("precision?, method?", Round),
        ["safe"] = ("", (value, _, _) => new SafeText(Printing.Text(value))),
        ["select"] = ("*, **", (value, given, _) => Select(value, given, byAttribute: false, wanted: true)),
        ["selectattr"] = ("*, **", (value, given, _) => Select(value, given, byAttribute: true, wanted: true)),
        ["slice"] = ("slices, fill_with?", (value, given, _) =>
            Columns(Operators.Items(value), given.Whole(0, "slices", 1), given.Get(1, "fill_with"))),
        ["sort"] = ("reverse?, case_sensitive?, attribute?", Sort),
        ["string"] = ("", (value, _, _) => value is SafeText ? value : Printing.Text(value)),
        ["striptags"] = ("", (value, _, _) => Unescape(Blanks().Replace(Tags().Replace(Printing.Text(value), ""), " ").Trim())),
        ["sum"] = ("attribute?, start?", Sum),
        ["title"] = ("", (value, _, _) => WordStarts().Replace(Printing.Text(value), word => CaseMapping.UpperFirst(word.Value))),
        ["tojson"] = ("ensure_ascii?, indent?, separators?, sort_keys?", ToJson),
        ["trim"] = ("chars?", (value, given, _) => StringMethods.Strip(
            Printing.Text(value), given.Get(0, "chars") is null ? null : given.Text(0, "chars"), start: true, end: true)),
        ["truncate"] = ("length?, killwords?, end?, leeway?", Truncate),
        ["unique"] = (Casing, Unique),
        ["upper"] = ("", (value, _, _) => CaseMapping.Upper(Printing.Text(value))),
        ["urlencode"] = ("", (value, _, _) => UrlEncode(value)),
        ["wordcount"] = ("", (value, _, _) => (BigInteger)Words().Count(Printing.Text(value))),
        ["wordwrap"] = ("width?, break_long_words?, wrapstring?, break_on_hyphens?", WordWrap),
    };

    public static bool Exists(string name) => s_filters.ContainsKey(name);

    /// <summary>Filters a value. A safe text is a plain one to every filter but those that escape.</summary>
    public static object? Apply(string name, object? value, Arguments given, Rendering rendering)
    {
        if (!s_filters.TryGetValue(name, out var filter))
            throw new TemplateException(TemplateErrorKind.TypeError, $"there is no filter named '{name}'");
        filter.Takes.Check($"filter '{name}'", given);
        return filter.Run(name is "e" or "escape" or "string" ? value : SafeText.Plain(value), given.Plain(), rendering);
    }

    private static object? Default(object? value, Arguments given, Rendering rendering) =>
        value is Undefined || (given.Truth(1, "boolean") && !Operators.IsTrue(value)) ? given.Get(0, "default_value", "") : value;

    private static string ToJson(object? value, Arguments given, Rendering rendering)
    {
        var indent = given.Get(1, "indent") switch
        {
            null => null,
            string text => text,
            BigInteger blanks => new string(' ', (int)BigInteger.Clamp(blanks, 0, 100)),
            bool truth => truth ? " " : "",
            var other => throw new TemplateException(
                TemplateErrorKind.TypeError, $"indent must be int or str, not {Printing.TypeName(other)}"),
        };
        var separators = given.Get(2, "separators") is { } own ? Operators.Items(own) : [indent is null ? ", " : ",", ": "];
        if (separators.Count != 2) throw new TemplateException(TemplateErrorKind.ValueError, "separators are two texts");
        return new JsonPrinting(
            indent,
            Printing.Text(separators[0]),
            Printing.Text(separators[1]),
            given.Truth(3, "sort_keys"),
            given.Truth(0, "ensure_ascii")
        ).Print(value);
    }

    private static string Join(object? value, Arguments given, Rendering rendering)
    {
        var path = given.Get(1, "attribute");
        var parts = Operators.Items(value).Select(item => Printing.Text(path is null ? item : Attributes.Path(item, path)));
        return string.Join(given.Get(0, "d", "") is { } between ? Printing.Text(between) : "None", parts);
    }

    private static List<object?> Map(object? value, Arguments given, Rendering rendering)
    {
        if (given.Positional.Count == 0 && given.Named.TryGetValue("attribute", out var path))
        {
            if (given.Named.Keys.FirstOrDefault(name => name is not ("attribute" or "default")) is { } unknown)
                throw new TemplateException(TemplateErrorKind.ValueError, $"filter 'map' takes no argument named '{unknown}'");
            var otherwise = given.Named.TryGetValue("default", out var own) ? own : null;
            return Operators.Items(value)
                .Select(item => Attributes.Path(item, path) is var found && found is Undefined && otherwise is not null ? otherwise : found)
                .ToList();
        }

        if (given.Positional.Count == 0) throw new TemplateException(TemplateErrorKind.ValueError, "map requires a filter argument");
        var (name, rest) = (given.Text(0, "filter"), given.Rest(1));
        if (!Exists(name)) throw new TemplateException(TemplateErrorKind.TypeError, $"there is no filter named '{name}'");
        return Operators.Items(value).Select(item => Apply(name, item, rest, rendering)).ToList();
    }

    private static List<object?> Select(object? value, Arguments given, bool byAttribute, bool wanted)
    {
        if (byAttribute && given.Positional.Count == 0)
            throw new TemplateException(TemplateErrorKind.ValueError, "Missing parameter for attribute name");
        var path = byAttribute ? given.Positional[0] : null;
        var skip = byAttribute ? 1 : 0;
        var test = given.Positional.Count > skip ? given.Text(skip, "test") : null;
        if (test is not null && !ValueTests.Exists(test))
            throw new TemplateException(TemplateErrorKind.TypeError, $"there is no test named '{test}'");
        var rest = given.Rest(skip + 1);
        return Operators.Items(value).Where(item =>
        {
            var tested = byAttribute ? Attributes.Path(item, path) : item;
            return (test is null ? Operators.IsTrue(tested) : ValueTests.Holds(test, tested, rest)) == wanted;
        }).ToList();
    }

    private static List<object?> Batch(IReadOnlyList<object?> items, int size, object? fill)
    {
        if (size < 1) // as Jinja has it: what is empty is full, and nothing is after that
            return items.Count == 0 ? [] : size == 0 ? [new List<object?>(), items.ToList()] : [items.ToList()];
        return items.Chunk(size).Select(chunk => (object?)(fill is null || chunk.Length == size
            ? chunk.ToList()
            : [.. chunk, .. Enumerable.Repeat(fill, Operators.LimitedCount(size, () => size) - chunk.Length)])).ToList();
    }

    private static List<object?> Columns(IReadOnlyList<object?> items, int columns, object? fill)
    {
        if (columns == 0) throw new TemplateException(TemplateErrorKind.ZeroDivisionError, "integer division or modulo by zero");
        if (columns < 0) return [];
        Operators.LimitedCount(columns, () => 0);
        var (each, longer) = Math.DivRem(items.Count, columns);
        return Enumerable.Range(0, columns).Select(column =>
        {
            var start = (column * each) + Math.Min(column, longer);
            var part = items.Skip(start).Take(each + (column < longer ? 1 : 0)).ToList();
            if (fill is not null && column >= longer) part.Add(fill);
            return (object?)part;
        }).ToList();
    }

    private static string Replace(object? value, Arguments given, Rendering rendering) => StringMethods.Replace(
        Printing.Text(value), Printing.Text(given.Required(0, "old")), Printing.Text(given.Required(1, "new")),
        given.Get(2, "count") is null ? -1 : given.Whole(2, "count", -1));

    private static object? Reverse(object? value, Arguments given, Rendering rendering) => value switch
    {
        string => Operators.Slice(value, null, null, BigInteger.MinusOne),
        IReadOnlyList<object?> or PythonDictionary or Undefined => Operators.Items(value).Reverse().ToList(),
        _ => throw new TemplateException(TemplateErrorKind.ValueError, "argument must be iterable"),
    };

    private static object? Sum(object? value, Arguments given, Rendering rendering)
    {
        var (path, start) = (given.Get(0, "attribute"), given.Get(1, "start", BigInteger.Zero));
        if (start is string) throw new TemplateException(TemplateErrorKind.TypeError, "sum() can't sum strings; use join");
        return Operators.Items(value).Aggregate(
            start, (sum, item) => Operators.Binary("+", sum, path is null ? item : Attributes.Path(item, path)));
    }

    private static object? Magnitude(object? value) => value switch
    {
        Undefined undefined => throw undefined.Error(),
        bool or BigInteger => BigInteger.Abs(Operators.WholeOf(value)),
        double number => Math.Abs(number),
        _ => throw new TemplateException(TemplateErrorKind.TypeError, $"bad operand type for abs(): '{Printing.TypeName(value)}'"),
    };

    private static object? Round(object? value, Arguments given, Rendering rendering)
    {
        var digits = given.Whole(0, "precision", 0);
        var method = given.Text(1, "method", "common");
        if (method is not ("common" or "ceil" or "floor"))
            throw new TemplateException(TemplateErrorKind.ValueError, "method must be common, ceil or floor");
        if (value is BigInteger or bool && method == "common") return Numbers.Round(Operators.WholeOf(value), digits);
        var number = value is double or BigInteger or bool ? Numbers.Real(value)!.Value
            : throw new TemplateException(TemplateErrorKind.TypeError, $"type {Printing.TypeName(value)} doesn't define __round__ method");
        var scale = Math.Pow(10, digits);
        return method switch
        {
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            _ => Decimals.Round(number, digits),
        };
    }

    /// <summary>A safe text as it is, any other with HTML's signs escaped.</summary>
    private static SafeText Escape(object? value) => value as SafeText ?? new SafeText(Escaped(Printing.Text(value)));

    /// <summary>A text in which HTML's signs are escaped.</summary>
    public static string Escaped(string text) =>
        text.Replace("&", "&amp;", StringComparison.Ordinal)
            .Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace(">", "&gt;", StringComparison.Ordinal)
            .Replace("'", "&#39;", StringComparison.Ordinal)
            .Replace("\"", "&#34;", StringComparison.Ordinal);

    private static string Unescape(string text) => System.Net.WebUtility.HtmlDecode(text);

    [GeneratedRegex(@"[^-\s({\[<]+")]
    private static partial Regex WordStarts();

    [GeneratedRegex(@"\w+")]
    private static partial Regex Words();

    [GeneratedRegex("<!--.*?-->|<[^>]*>", RegexOptions.Singleline)]
    private static partial Regex Tags();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
