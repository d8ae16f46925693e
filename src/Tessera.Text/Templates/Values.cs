using System.Collections;
using System.Numerics;

namespace Tessera.Text.Templates;

// A value of a template is one of: null (None), bool, BigInteger (int), double, string, List<object?> (list), PythonTuple,
// PythonDictionary, Undefined, Function, or an object with attributes (IAttributes).

/// <summary>A name or attribute that there is not. It prints as nothing and is false; all else that is done to it fails.</summary>
/// <param name="Reason">What the error says.</param>
internal sealed record Undefined(string Reason)
{
    public TemplateException Error() => new(TemplateErrorKind.UndefinedError, Reason);
}

/// <summary>Python's tuple: a list that prints with parentheses.</summary>
internal sealed class PythonTuple(params object?[] items) : IReadOnlyList<object?>
{
    public int Count => items.Length;

    public object? this[int index] => items[index];

    public IEnumerator<object?> GetEnumerator() => ((IEnumerable<object?>)items).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => items.GetEnumerator();
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

    public int Whole(int index, string name, int otherwise) => Get(index, name) switch
        {
            null => otherwise,
            BigInteger number when number >= int.MinValue && number <= int.MaxValue => (int)number,
            bool truth => truth ? 1 : 0,
            var other => throw new TemplateException(
                TemplateErrorKind.TypeError, $"argument '{name}' must be a small int, not {Printing.TypeName(other)}"),
        };

    public bool Truth(int index, string name, bool otherwise = false) => Operators.IsTrue(Get(index, name, otherwise));

    /// <summary>All but the first positional arguments.</summary>
    public Arguments Rest(int skip) => this with { Positional = [.. Positional.Skip(skip)] };
}

/// <summary>Something that can be called.</summary>
internal sealed record Function(string Name, Func<Arguments, object?> Call);
