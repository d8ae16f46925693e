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
            return Unsafe(value, name);
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
            case (PythonDictionary dictionary, _) when PythonDictionary.IsKey(key) && dictionary.TryGet(key, out var item): return item;
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

    /// <summary>A method or attribute; undefined where there is none, an item of that name or not.</summary>
    public static object? OwnOf(object? value, string name) => value switch
    {
        Undefined undefined => throw undefined.Error(),
        IAttributes attributes when attributes.TryGetAttribute(name, out var attribute) => attribute,
        _ => Method(value, name) ?? Missing(value, name),
    };

    private static object? Method(object? value, string name) => value switch
    {
        string text => StringMethods.Method(text, name),
        SafeText safe => StringMethods.Method(safe.Text, name),
        PythonDictionary dictionary => DictionaryMethod(dictionary, name),
        IReadOnlyList<object?> items => ListMethod(items, name),
        bool or BigInteger or double => Numbers.Attribute(value, name),
        _ => null,
    };

    private static object? DictionaryMethod(PythonDictionary dictionary, string name) => name switch
    {
        "get" => new Function(name, "key, default?, /", given =>
            dictionary.TryGet(given.Required(0, "key"), out var value) ? value : given.Get(1, "default")),
        "keys" => new Function(name, "/", _ => Operators.Items(dictionary).ToList()),
        "values" => new Function(name, "/", _ => dictionary.Values.ToList()),
        "items" => new Function(name, "/", _ => Pairs(dictionary)),
        "copy" => new Function(name, "/", _ => dictionary),
        "fromkeys" => new Function(name, "iterable, value?, /", given => Same(given.Required(0, "iterable"), given.Get(1, "value"))),
        "update" or "pop" or "popitem" or "clear" or "setdefault" => Unsafe(dictionary, name),
        _ => null,
    };

    private static PythonDictionary Same(object? keys, object? value)
    {
        var dictionary = new PythonDictionary();
        foreach (var key in Operators.Items(keys)) dictionary[key] = value;
        return dictionary;
    }

    private static object? ListMethod(IReadOnlyList<object?> items, string name) => (name, items) switch
    {
        ("index", _) => new Function(name, "value, start?, stop?, /", given => (BigInteger)Index(items, given)),
        ("count", _) => new Function(name, "value, /", given =>
            (BigInteger)items.Count(item => Operators.Equal(item, given.Required(0, "value")))),
        (_, PythonTuple { Names: var names } tuple) when names.Contains(name) => tuple[names.ToList().IndexOf(name)],
        ("copy", List<object?>) => new Function(name, "/", _ => items),
        ("append" or "extend" or "insert" or "pop" or "remove" or "clear" or "sort" or "reverse", List<object?>) => Unsafe(items, name),
        _ => null,
    };

    private static int Index(IReadOnlyList<object?> items, Arguments given)
    {
        var start = Place(given.Whole(1, "start", 0));
        var stop = Place(given.Whole(2, "stop", items.Count));
        for (var i = start; i < stop; i++)
            if (Operators.Equal(items[i], given.Positional[0])) return i;
        throw new TemplateException(TemplateErrorKind.ValueError, "the value is not in the list");

        int Place(int place) => Math.Clamp(place < 0 ? place + items.Count : place, 0, items.Count);
    }

    /// <summary>Entries as (key, value).</summary>
    public static List<object?> Pairs(PythonDictionary dictionary) =>
        dictionary.Entries.Select(entry => (object?)new PythonTuple(entry.Key is DBNull ? null : entry.Key, entry.Value)).ToList();

    /// <summary>What would reach the interpreter, or change what templates are given: as if it were not there.</summary>
    private static Undefined Unsafe(object? value, string name) =>
        new($"access to attribute '{name}' of '{Printing.TypeName(value)}' object is unsafe", TemplateErrorKind.SecurityError);
}
