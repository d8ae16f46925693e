using System.Collections;
using System.Numerics;

namespace Tessera.Text.Templates;

// A value of a template is one of: null (None), bool, BigInteger (int), double, string, List<object?> (list), PythonTuple,
// PythonDictionary, Undefined, Function, SafeText, or an object with attributes (IAttributes).

/// <summary>A name or attribute that there is not. It prints as nothing and is false; all else that is done to it fails.</summary>
/// <param name="Reason">What the error says.</param>
/// <param name="Kind">What kind of error it is.</param>
internal sealed record Undefined(string Reason, TemplateErrorKind Kind = TemplateErrorKind.UndefinedError)
{
    public TemplateException Error() => new(Kind, Reason);
}

/// <summary>Python's tuple: a list that prints with parentheses.</summary>
internal sealed class PythonTuple(params object?[] items) : IReadOnlyList<object?>
{
    /// <summary>What the items may be called; empty where they have no names.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    public int Count => items.Length;

    public object? this[int index] => items[index];

    public IEnumerator<object?> GetEnumerator() => ((IEnumerable<object?>)items).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => items.GetEnumerator();
}

/// <summary>Python's range: its numbers, counted when they are asked for.</summary>
internal sealed class PythonRange(BigInteger start, BigInteger stop, BigInteger by, int count) : IReadOnlyList<object?>
{
    public int Count => count;

    public object? this[int index] => start + (index * by);

    public IEnumerator<object?> GetEnumerator()
    {
        for (var i = 0; i < count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public override string ToString() => by.IsOne ? $"range({start}, {stop})" : $"range({start}, {stop}, {by})";
}

/// <summary>Python's dict: entries in the order they were added, keys that compare as Python's do (1 is 1.0).</summary>
internal sealed class PythonDictionary
{
    private readonly OrderedDictionary<object, object?> _entries = new(KeyComparer.Instance);

    public int Count => _entries.Count;

    public IEnumerable<KeyValuePair<object, object?>> Entries => _entries;

    public IEnumerable<object?> Keys => _entries.Keys;

    public IEnumerable<object?> Values => _entries.Values;

    public object? this[object? key]
    {
        set => _entries[Key(key)] = value;
    }

    /// <summary>Whether a value can be a key: lists and dictionaries cannot.</summary>
    public static bool IsKey(object? value) => value is not (List<object?> or PythonDictionary);

    public bool TryGet(object? key, out object? value) => _entries.TryGetValue(Key(key), out value);

    /// <summary>None is a key too, which .NET's dictionaries refuse.</summary>
    private static object Key(object? key) => key switch
        {
            null => DBNull.Value,
            List<object?> or PythonDictionary => throw new TemplateException(
                TemplateErrorKind.TypeError, $"unhashable type: '{Printing.TypeName(key)}'"),
            _ => key,
        };

    private sealed class KeyComparer : IEqualityComparer<object>
    {
        public static readonly KeyComparer Instance = new();

        public new bool Equals(object? left, object? right) => Operators.Equal(left, right);

        public int GetHashCode(object key) => key switch
        {
            bool truth => (truth ? 1.0 : 0.0).GetHashCode(),
            BigInteger number => ((double)number).GetHashCode(),
            double number => number.GetHashCode(),
            string text => text.GetHashCode(StringComparison.Ordinal),
            PythonTuple tuple => tuple.Count,
            _ => 0,
        };
    }
}

/// <summary>An object whose attributes a template may read.</summary>
internal interface IAttributes
{
    /// <summary>How Python calls its type.</summary>
    string TypeName { get; }

    bool TryGetAttribute(string name, out object? value);
}

/// <summary>What <c>namespace(…)</c> makes: the one object whose attributes a template may set.</summary>
internal sealed class NamespaceValue : IAttributes
{
    private readonly Dictionary<string, object?> _attributes = [];

    public string TypeName => "Namespace";

    public bool TryGetAttribute(string name, out object? value) => _attributes.TryGetValue(name, out value);

    public void Set(string name, object? value) => _attributes[name] = value;

    public PythonDictionary ToDictionary()
    {
        var dictionary = new PythonDictionary();
        foreach (var (name, value) in _attributes) dictionary[name] = value;
        return dictionary;
    }
}

/// <summary>What <c>cycler(…)</c> makes: items in turn.</summary>
internal sealed class Cycler : IAttributes
{
    private readonly IReadOnlyList<object?> _items;
    private int _place;

    public Cycler(IReadOnlyList<object?> items) => _items = items.Count > 0
        ? items
        : throw new TemplateException(TemplateErrorKind.ValueError, "at least one item has to be provided");

    public string TypeName => "Cycler";

    public bool TryGetAttribute(string name, out object? value)
    {
        value = name switch
        {
            "current" => _items[_place],
            "next" => new Function(name, "/", _ => Next()),
            "reset" => new Function(name, "/", _ => Reset()),
            _ => null,
        };
        return value is not null || name == "current";
    }

    private object? Next()
    {
        var item = _items[_place];
        _place = (_place + 1) % _items.Count;
        return item;
    }

    private object? Reset()
    {
        _place = 0;
        return null;
    }
}

/// <summary>The blocks of a template, called by name: <c>self.title()</c>.</summary>
internal sealed class TemplateBlocks : IAttributes
{
    private readonly Dictionary<string, Func<string>> _blocks = [];

    public string TypeName => "TemplateReference";

    public void Add(string name, Func<string> write) => _blocks[name] = write;

    public bool TryGetAttribute(string name, out object? value)
    {
        value = _blocks.TryGetValue(name, out var write) ? new Function(name, "/", _ => write()) : null;
        return value is not null;
    }
}

/// <summary>Arguments of a call.</summary>
internal sealed record Arguments(IReadOnlyList<object?> Positional, IReadOnlyDictionary<string, object?> Named)
{
    public static readonly Arguments None = new([], new Dictionary<string, object?>());

    public static Arguments Of(params object?[] positional) => new(positional, None.Named);

    public int Count => Positional.Count + Named.Count;

    /// <summary>The argument at a place or of a name; <paramref name="otherwise"/> where it is not given.</summary>
    public object? Get(int index, string name, object? otherwise = null) =>
        index < Positional.Count ? Positional[index] : Named.TryGetValue(name, out var value) ? value : otherwise;

    /// <summary>An argument that must be given.</summary>
    public object? Required(int index, string name) => index < Positional.Count || Named.ContainsKey(name)
        ? Get(index, name)
        : throw new TemplateException(TemplateErrorKind.TypeError, $"missing required argument '{name}'");

    public string Text(int index, string name, string? otherwise = null) => Get(index, name, otherwise) switch
        {
            string text => text,
            null when otherwise is null && (index < Positional.Count || Named.ContainsKey(name)) is false => throw new TemplateException(
                TemplateErrorKind.TypeError, $"missing required argument '{name}'"),
            var other => throw new TemplateException(
                TemplateErrorKind.TypeError, $"argument '{name}' must be str, not {Printing.TypeName(other)}"),
        };

    public int Whole(int index, string name, int otherwise) => Get(index, name, (BigInteger)otherwise) switch
        {
            BigInteger number when number >= int.MinValue && number <= int.MaxValue => (int)number,
            bool truth => truth ? 1 : 0,
            var other => throw new TemplateException(
                TemplateErrorKind.TypeError, $"argument '{name}' must be a small int, not {Printing.TypeName(other)}"),
        };

    public bool Truth(int index, string name, bool otherwise = false) => Operators.IsTrue(Get(index, name, otherwise));

    /// <summary>The same, safe texts as plain ones.</summary>
    public Arguments Plain() => Positional.Concat(Named.Values).Any(value => value is SafeText)
        ? new([.. Positional.Select(SafeText.Plain)], Named.ToDictionary(own => own.Key, own => SafeText.Plain(own.Value)))
        : this;

    /// <summary>All but the first positional arguments.</summary>
    public Arguments Rest(int skip) => this with { Positional = [.. Positional.Skip(skip)] };
}

/// <summary>Something that can be called.</summary>
/// <param name="Name">How it is called.</param>
/// <param name="Takes">What arguments it takes.</param>
/// <param name="Run">What it does with them.</param>
internal sealed record Function(string Name, Signature Takes, Func<Arguments, object?> Run) : IAttributes
{
    /// <summary>What a template may read of it, by name; nothing where null.</summary>
    public IReadOnlyDictionary<string, object?>? Attributes { get; init; }

    string IAttributes.TypeName => "function";

    public object? Call(Arguments arguments)
    {
        Takes.Check($"{Name}()", arguments);
        return Run(arguments);
    }

    bool IAttributes.TryGetAttribute(string name, out object? value)
    {
        value = null;
        return Attributes?.TryGetValue(name, out value) == true;
    }
}

/// <summary>A text that <c>escape</c> need not escape any more; everywhere else it is its text.</summary>
internal sealed record SafeText(string Text)
{
    /// <summary>A value, a safe text as a plain one.</summary>
    public static object? Plain(object? value) => value is SafeText safe ? safe.Text : value;
}
