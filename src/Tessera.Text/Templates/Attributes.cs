using System.Numerics;

namespace Tessera.Text.Templates;

/// <summary><c>value.name</c> and <c>value[key]</c>: methods and items, either by either way, as Jinja has it.</summary>
internal static class Attributes
{
    /// <summary><c>value.name</c>: a method or attribute first, else an item.</summary>
    public static object? Get(object? value, string name)
    {
        if (value is Undefined undefined) throw undefined.Error();
        if (name.StartsWith("__", StringComparison.Ordinal))
            throw new TemplateException(
                TemplateErrorKind.SecurityError, $"access to attribute '{name}' of '{Printing.TypeName(value)}' object is unsafe");
        if (value is IAttributes attributes && attributes.TryGetAttribute(name, out var attribute)) return attribute;
        if (Method(value, name) is { } method) return method;
        if (value is PythonDictionary dictionary && dictionary.TryGet(name, out var item)) return item;
        return Missing(value, name);
    }

    /// <summary><c>value[key]</c>: an item first, else a method or attribute.</summary>
    public static object? Item(object? value, object? key)
    {
        switch (value, key)
        {
            case (Undefined undefined, _): throw undefined.Error();
            case (PythonDictionary dictionary, _) when dictionary.TryGet(key, out var item): return item;
            case (IReadOnlyList<object?> or string, BigInteger or bool):
                var count = Operators.Length(value);
                var place = Operators.WholeOf(key);
                if (place < 0) place += count;
                if (place < 0 || place >= count)
                    return new Undefined($"{Printing.TypeName(value)} object has no element {Printing.Text(key)}");
                return value is string text && text.Length == count ? text[(int)place].ToString() : Operators.Items(value)[(int)place];
            case (_, string name): return Get(value, name);
            default: return new Undefined($"{Printing.TypeName(value)} object has no element {Printing.Represent(key)}");
        }
    }

    /// <summary>What <c>attribute="a.b.0"</c> of a filter leads to.</summary>
    public static object? Path(object? value, object? path)
    {
        if (path is BigInteger) return Item(value, path);
        foreach (var part in Printing.Text(path).Split('.'))
            value = Item(value, BigInteger.TryParse(part, out var index) && part.All(char.IsAsciiDigit) ? index : part);
        return value;
    }

    private static Undefined Missing(object? value, string name) => new(
            value is PythonDictionary
                ? $"'dict object' has no attribute '{name}'"
                : $"'{Printing.TypeName(value)} object' has no attribute '{name}'");

    private static Function? Method(object? value, string name) => value switch
    {
        string text => StringMethods.Find(text, name),
        PythonDictionary dictionary => DictionaryMethod(dictionary, name),
        IReadOnlyList<object?> items => ListMethod(items, name),
        _ => null,
    };

    private static Function? DictionaryMethod(PythonDictionary dictionary, string name) => name switch
        {
            "get" => new(name, arguments =>
                dictionary.TryGet(arguments.Required(0, "key"), out var value) ? value : arguments.Get(1, "default")
            ),
            "keys" => new(name, _ => Operators.Items(dictionary).ToList()),
            "values" => new(name, _ => dictionary.Values.ToList()),
            "items" => new(name, _ => Pairs(dictionary)),
            "copy" => new(name, _ => dictionary),
            "update" or "pop" or "popitem" or "clear" or "setdefault" => Changes(dictionary, name),
            _ => null,
        };

    private static Function? ListMethod(IReadOnlyList<object?> items, string name) => name switch
        {
            "index" => new(name, arguments =>
                items.ToList().FindIndex(item => Operators.Equal(item, arguments.Required(0, "value"))) is var place and >= 0
                    ? (BigInteger)place
            : throw new TemplateException(TemplateErrorKind.ValueError, "the value is not in the list")),
            "count" => new(name, arguments => (BigInteger)items.Count(item => Operators.Equal(item, arguments.Required(0, "value")))),
            "copy" => new(name, _ => items),
            "append" or "extend" or "insert" or "pop" or "remove" or "clear" or "sort" or "reverse" => Changes(items, name),
            _ => null,
        };

    /// <summary>Entries as (key, value).</summary>
    public static List<object?> Pairs(PythonDictionary dictionary) =>
        dictionary.Entries.Select(entry => (object?)new PythonTuple(entry.Key is DBNull ? null : entry.Key, entry.Value)).ToList();

    /// <summary>Templates may not change what they are given.</summary>
    private static Function Changes(object value, string name) => new(name, _ => throw new TemplateException(
        TemplateErrorKind.SecurityError, $"{Printing.TypeName(value)}.{name} would change the value, which a template may not"));
}
