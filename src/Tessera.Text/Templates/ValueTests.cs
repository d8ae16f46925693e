using System.Numerics;

namespace Tessera.Text.Templates;

/// <summary>Jinja's tests, <c>value is name(argument)</c>.</summary>
internal static class ValueTests
{
    private static readonly Dictionary<string, Func<object?, Arguments, bool>> s_tests = new()
    {
        ["boolean"] = (value, _) => value is bool,
        ["callable"] = (value, _) => value is Function,
        ["defined"] = (value, _) => value is not Undefined,
        ["divisibleby"] = (value, arguments) =>
            Operators.Equal(Operators.Binary("%", value, arguments.Required(0, "num")), BigInteger.Zero),
        ["escaped"] = (_, _) => false,
        ["even"] = (value, _) => Operators.Equal(Operators.Binary("%", value, (BigInteger)2), BigInteger.Zero),
        ["false"] = (value, _) => value is false,
        ["filter"] = (value, _) => value is string name && Filters.Exists(name),
        ["float"] = (value, _) => value is double,
        ["in"] = (value, arguments) => Operators.Contains(arguments.Required(0, "seq"), value),
        ["integer"] = (value, _) => value is BigInteger,
        ["iterable"] = (value, _) => value is string or IReadOnlyList<object?> or PythonDictionary or Undefined,
        ["lower"] = (value, _) => IsCase(Printing.Text(value), char.IsLower, char.IsUpper),
        ["mapping"] = (value, _) => value is PythonDictionary,
        ["none"] = (value, _) => value is null,
        ["number"] = (value, _) => value is bool or BigInteger or double,
        ["odd"] = (value, _) => Operators.Equal(Operators.Binary("%", value, (BigInteger)2), BigInteger.One),
        ["sameas"] = (value, arguments) => IsSame(value, arguments.Required(0, "other")),
        ["sequence"] = (value, _) => value is string or IReadOnlyList<object?> or PythonDictionary or Undefined,
        ["string"] = (value, _) => value is string,
        ["test"] = (value, _) => value is string name && Exists(name),
        ["true"] = (value, _) => value is true,
        ["undefined"] = (value, _) => value is Undefined,
        ["upper"] = (value, _) => IsCase(Printing.Text(value), char.IsUpper, char.IsLower),
    };

    static ValueTests()
    {
        Add((value, other) => Operators.Equal(value, other), "eq", "equalto", "==");
        Add((value, other) => !Operators.Equal(value, other), "ne", "!=");
        Add((value, other) => Operators.Compare(value, other, "<") < 0, "lt", "lessthan", "<");
        Add((value, other) => Operators.Compare(value, other, "<=") <= 0, "le", "<=");
        Add((value, other) => Operators.Compare(value, other, ">") > 0, "gt", "greaterthan", ">");
        Add((value, other) => Operators.Compare(value, other, ">=") >= 0, "ge", ">=");
    }

    public static bool Exists(string name) => s_tests.ContainsKey(name);

    public static bool Holds(string name, object? value, Arguments arguments) => s_tests.TryGetValue(name, out var test)
        ? test(value, arguments)
        : throw new TemplateException(TemplateErrorKind.SyntaxError, $"there is no test named '{name}'");

    private static void Add(Func<object?, object?, bool> test, params string[] names)
    {
        foreach (var name in names) s_tests[name] = (value, arguments) => test(value, arguments.Required(0, "other"));
    }

    private static bool IsCase(string text, Func<char, bool> wanted, Func<char, bool> other) => text.Any(wanted) && !text.Any(other);

    private static bool IsSame(object? value, object? other) =>
        value?.GetType() == other?.GetType() && (ReferenceEquals(value, other) || (value is bool or BigInteger && value.Equals(other)));
}
