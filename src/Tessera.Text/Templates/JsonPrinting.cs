using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace Tessera.Text.Templates;

/// <summary>Python's <c>json.dumps</c>, and JSON as values.</summary>
/// <param name="Indent">Blanks a level, or null for one line.</param>
/// <param name="Between">What stands between items.</param>
/// <param name="AfterKey">What stands between a key and its value.</param>
/// <param name="SortKeys">Whether keys are sorted.</param>
/// <param name="Ascii">Whether other characters are escaped.</param>
internal sealed record JsonPrinting(string? Indent, string Between, string AfterKey, bool SortKeys, bool Ascii)
{
    private const int MaxDepth = 100;

    /// <summary>A JSON value as templates see it: whole numbers are ints, all others floats.</summary>
    public static object? Read(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => null,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String => json.GetString(),
        JsonValueKind.Number => ReadNumber(json.GetRawText()),
        JsonValueKind.Array => json.EnumerateArray().Select(Read).ToList(),
        _ => ReadObject(json),
    };

    public string Print(object? value)
    {
        var text = new StringBuilder();
        Print(value, text, 0);
        return text.ToString();
    }

    private static object ReadNumber(string digits) =>
        BigInteger.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)
            ? whole
            : double.Parse(digits, NumberStyles.Float, CultureInfo.InvariantCulture);

    private static PythonDictionary ReadObject(JsonElement json)
    {
        var dictionary = new PythonDictionary();
        foreach (var property in json.EnumerateObject()) dictionary[property.Name] = Read(property.Value);
        return dictionary;
    }

    private void Print(object? value, StringBuilder text, int depth)
    {
        if (depth > MaxDepth || text.Length > Operators.MaxItems)
            throw new TemplateException(TemplateErrorKind.OverflowError, "the value is too large or nested too deeply for JSON");
        switch (value)
        {
            case null: text.Append("null"); break;
            case bool truth: text.Append(truth ? "true" : "false"); break;
            case double number when !double.IsFinite(number):
                text.Append(
                    double.IsNaN(number) ? "NaN"
                    : number > 0 ? "Infinity"
                    : "-Infinity");
                break;
            case BigInteger or double: text.Append(Printing.Represent(value)); break;
            case string plain: Quote(plain, text); break;
            case SafeText safe: Quote(safe.Text, text); break;
            case List<object?> or PythonTuple when value is IReadOnlyList<object?> items:
                All(items, '[', ']', text, depth, item => Print(item, text, depth + 1));
                break;
            case PythonDictionary dictionary:
                var entries = dictionary.Entries.Select(entry => (Key: KeyOf(entry.Key), entry.Value));
                if (SortKeys) entries = entries.OrderBy(entry => entry.Key, StringComparer.Ordinal);
                All(entries.ToList(), '{', '}', text, depth, entry =>
                {
                    Quote(entry.Key, text);
                    text.Append(AfterKey);
                    Print(entry.Value, text, depth + 1);
                });
                break;
            default:
                throw new TemplateException(
                    TemplateErrorKind.TypeError, $"Object of type {Printing.TypeName(value)} is not JSON serializable");
        }
    }

    private static string KeyOf(object key) => key switch
    {
        string text => text,
        DBNull => "null",
        bool truth => truth ? "true" : "false",
        PythonTuple => throw new TemplateException(
            TemplateErrorKind.TypeError, "keys must be str, int, float, bool or None, not tuple"),
        _ => Printing.Represent(key),
    };

    private void All<T>(IReadOnlyList<T> items, char open, char close, StringBuilder text, int depth, Action<T> print)
    {
        text.Append(open);
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0) text.Append(Between);
            Break(text, depth + 1);
            print(items[i]);
        }

        if (items.Count > 0) Break(text, depth);
        text.Append(close);
    }

    private void Break(StringBuilder text, int depth)
    {
        if (Indent is null) return;
        text.Append('\n');
        for (var i = 0; i < depth; i++) text.Append(Indent);
    }

    private void Quote(string plain, StringBuilder text)
    {
        text.Append('"');
        foreach (var letter in plain)
        {
            switch (letter)
            {
                case '"': text.Append("\\\""); break;
                case '\\': text.Append(@"\\"); break;
                case '\n': text.Append(@"\n"); break;
                case '\r': text.Append(@"\r"); break;
                case '\t': text.Append(@"\t"); break;
                case '\b': text.Append(@"\b"); break;
                case '\f': text.Append(@"\f"); break;
                case < ' ': text.Append(CultureInfo.InvariantCulture, $@"\u{(int)letter:x4}"); break;
                case > '~' when Ascii: text.Append(CultureInfo.InvariantCulture, $@"\u{(int)letter:x4}"); break;
                default: text.Append(letter); break;
            }
        }

        text.Append('"');
    }
}
