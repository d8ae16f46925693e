using System.Numerics;

namespace Tessera.Text.Templates;

/// <summary>Jinja's tests, <c>value is name(argument)</c>.</summary>
internal static class ValueTests
{
    private static readonly Dictionary<string, (Signature Takes, Func<object?, Arguments, bool> Holds)> s_tests = new()
    {
        ["boolean"] = ("", (value, _) => value is bool),
        ["callable"] = ("/", (value, _) => value is Function or Undefined),
        ["defined"] = ("", (value, _) => value is not Undefined),
        ["divisibleby"] = ("num", (value, given) =>
            Operators.Equal(Operators.Binary("%", value, given.Required(0, "num")), BigInteger.Zero)),
        ["escaped"] = ("", (value, _) => value is SafeText),
        ["even"] = ("", (value, _) => Operators.Equal(Operators.Binary("%", value, (BigInteger)2), BigInteger.Zero)),
        ["false"] = ("", (value, _) => value is false),
        ["filter"] = ("", (value, _) => value is string name && Filters.Exists(name)),
        ["float"] = ("", (value, _) => value is double),
        ["in"] = ("seq", (value, given) => Operators.Contains(given.Required(0, "seq"), value)),
        ["integer"] = ("", (value, _) => value is BigInteger),
        ["iterable"] = ("", (value, _) => value is string or SafeText or IReadOnlyList<object?> or PythonDictionary or Undefined),
        ["lower"] = ("", (value, _) => CaseMapping.IsLower(Printing.Text(value))),
        ["mapping"] = ("", (value, _) => value is PythonDictionary),
        ["none"] = ("", (value, _) => value is null),
        ["number"] = ("", (value, _) => value is bool or BigInteger or double),
        ["odd"] = ("", (value, _) => Operators.Equal(Operators.Binary("%", value, (BigInteger)2), BigInteger.One)),
        ["sameas"] = ("other", (value, given) => IsSame(value, given.Required(0, "other"))),
        ["sequence"] = ("", (value, _) => value is string or SafeText or IReadOnlyList<object?> or PythonDictionary or Undefined),
        ["string"] = ("", (value, _) => value is string or SafeText),
        ["test"] = ("", (value, _) => value is string name && Exists(name)),
        ["true"] = ("", (value, _) => value is true),
        ["undefined"] = ("", (value, _) => value is Undefined),
        ["upper"] = ("", (value, _) => CaseMapping.IsUpper(Printing.Text(value))),
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

    public static bool Holds(string name, object? value, Arguments given)
    {
        if (!s_tests.TryGetValue(name, out var test))
            throw new TemplateException(TemplateErrorKind.TypeError, $"there is no test named '{name}'");
        test.Takes.Check($"test '{name}'", given);
        return test.Holds(value, given);
    }

    private static void Add(Func<object?, object?, bool> test, params string[] names)
    {
        foreach (var name in names) s_tests[name] = ("other, /", (value, given) => test(value, given.Required(0, "other")));
    }

    private static bool IsSame(object? value, object? other) =>
        value?.GetType() == other?.GetType()
        && (ReferenceEquals(value, other) || (value is bool or BigInteger or string && value.Equals(other)));
}
