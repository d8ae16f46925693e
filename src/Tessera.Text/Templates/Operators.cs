using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>What Python's operators do to values.</summary>
internal static class Operators
{
    /// <summary>The longest text, list or number of digits an operation may make.</summary>
    public const int MaxItems = 10_000_000;

    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool truth => truth,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        string text => text.Length > 0,
        SafeText safe => safe.Text.Length > 0,
        IReadOnlyList<object?> items => items.Count > 0,
        PythonDictionary dictionary => dictionary.Count > 0,
        _ => true,
    };

    private const int MaxComparisons = 20_000_000;

    [ThreadStatic] private static int s_comparisons;

    /// <summary>Begins to count comparisons afresh: values that hold one another many times over could be compared for ever.</summary>
    public static void CountComparisons() => s_comparisons = 0;

    /// <summary>Throws where values or expressions are nested so deeply that the stack is at its end.</summary>
    public static void RequireStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new TemplateException(TemplateErrorKind.OverflowError, "nested too deeply");
    }

    public static bool Equal(object? left, object? right)
    {
        RequireStack();
        if (++s_comparisons > MaxComparisons)
            throw new TemplateException(TemplateErrorKind.OverflowError, $"the template compares more than {MaxComparisons} values");
        (left, right) = (SafeText.Plain(left), SafeText.Plain(right));
        if (AsNumber(left) is { } a && AsNumber(right) is { } b) return a.Equals(b);
        return (left, right) switch
        {
            (null or DBNull, null or DBNull) => true,
            (string first, string second) => first == second,
            (List<object?> first, List<object?> second) => EqualItems(first, second),
            (PythonTuple first, PythonTuple second) => EqualItems(first, second),
            (PythonRange first, PythonRange second) => EqualItems(first, second),
            (PythonDictionary first, PythonDictionary second) => first.Count == second.Count
                && first.Entries.All(entry => second.TryGet(entry.Key, out var other) && Equal(entry.Value, other)),
            (Undefined, Undefined) => true,
            _ => ReferenceEquals(left, right),
        };
    }

    /// <summary>Order of numbers, texts and lists.</summary>
    public static int Compare(object? left, object? right, string sign)
    {
        RequireStack();
        (left, right) = (SafeText.Plain(left), SafeText.Plain(right));
        if (AsNumber(left) is { } a && AsNumber(right) is { } b) return a.CompareTo(b);
        switch (left, right)
        {
            case (string first, string second): return CompareText(first, second);
            case (List<object?> or PythonTuple, List<object?> or PythonTuple) when left.GetType() == right!.GetType():
                var (items, others) = ((IReadOnlyList<object?>)left, (IReadOnlyList<object?>)right);
                for (var i = 0; i < Math.Min(items.Count, others.Count); i++)
                    if (!Equal(items[i], others[i])) return Compare(items[i], others[i], sign);
                return items.Count.CompareTo(others.Count);
            case (Undefined undefined, _): throw undefined.Error();
            case (_, Undefined undefined): throw undefined.Error();
            default: throw Unsupported($"'{sign}' not supported between instances of", left, "and", right);
        }
    }

    public static object? Binary(string sign, object? left, object? right)
    {
        if (left is Undefined undefined) throw undefined.Error();
        if (right is Undefined other) throw other.Error();
        if (sign == "+" && (left is SafeText || right is SafeText) && left is string or SafeText && right is string or SafeText)
            return new SafeText(Limited(Escaped(left), Escaped(right)));
        (left, right) = (SafeText.Plain(left), SafeText.Plain(right));
        switch (sign, left, right)
        {
            case ("+", string first, string second): return Limited(first, second);
            case ("+", List<object?> first, List<object?> second):
                return LimitedCount(first.Count + (long)second.Count, () => new List<object?>([.. first, .. second]));
            case ("+", PythonTuple first, PythonTuple second):
                return LimitedCount(first.Count + (long)second.Count, () => new PythonTuple([.. first, .. second]));
            case ("%", string format, _): return StringFormat.Percent(format, right);
            case ("*", string or List<object?> or PythonTuple, BigInteger or bool): return Repeat(left, WholeOf(right));
            case ("*", BigInteger or bool, string or List<object?> or PythonTuple): return Repeat(right, WholeOf(left));
        }

        if (left is double || right is double || sign == "/")
        {
            if (AsDouble(left) is { } a && AsDouble(right) is { } b) return Real(sign, a, b);
        }
        else if (left is BigInteger or bool && right is BigInteger or bool)
        {
            return Whole(sign, WholeOf(left), WholeOf(right));
        }

        throw sign == "+" && left is string
            ? new TemplateException(TemplateErrorKind.TypeError, $"can only concatenate str (not \"{Printing.TypeName(right)}\") to str")
            : Unsupported($"unsupported operand type(s) for {sign}:", left, "and", right);
    }

    public static object? Negate(object? value, bool minus) => value switch
        {
            BigInteger number => minus ? -number : number,
            bool truth => (BigInteger)(truth ? (minus ? -1 : 1) : 0),
            double number => minus ? -number : number,
            Undefined undefined => throw undefined.Error(),
            _ => throw new TemplateException(
                TemplateErrorKind.TypeError, $"bad operand type for unary {(minus ? '-' : '+')}: '{Printing.TypeName(value)}'"),
        };

    public static bool Contains(object? container, object? item) => SafeText.Plain(container) switch
        {
            string text => SafeText.Plain(item) is string part
                ? text.Contains(part, StringComparison.Ordinal)
                : throw new TemplateException(
                    TemplateErrorKind.TypeError, $"'in <string>' requires string as left operand, not {Printing.TypeName(item)}"),
            IReadOnlyList<object?> items => items.Any(other => Equal(other, item)),
            PythonDictionary dictionary => dictionary.TryGet(item, out _),
            Undefined => false,
        _ => throw new TemplateException(TemplateErrorKind.TypeError, $"argument of type '{Printing.TypeName(container)}' is not iterable"),
        };

    /// <summary>What a loop goes over: items, keys, characters (whole code points).</summary>
    public static IReadOnlyList<object?> Items(object? value) => value switch
    {
        IReadOnlyList<object?> items => items,
        PythonDictionary dictionary => dictionary.Keys.Select(key => key is DBNull ? null : key).ToList(),
        string text => text.EnumerateRunes().Select(rune => (object?)rune.ToString()).ToList(),
        SafeText safe => Items(safe.Text),
        Undefined => [],
        _ => throw new TemplateException(TemplateErrorKind.TypeError, $"'{Printing.TypeName(value)}' object is not iterable"),
    };

    public static int Length(object? value) => value switch
    {
        string text => CodePoints(text),
        SafeText safe => CodePoints(safe.Text),
        IReadOnlyList<object?> items => items.Count,
        PythonDictionary dictionary => dictionary.Count,
        Undefined => 0,
        _ => throw new TemplateException(TemplateErrorKind.TypeError, $"object of type '{Printing.TypeName(value)}' has no len()"),
    };

    /// <summary>The number of code points of a text.</summary>
    public static int CodePoints(string text)
    {
        var count = text.Length;
        for (var i = 1; i < text.Length; i++)
            if (char.IsSurrogatePair(text[i - 1], text[i])) count--;
        return count;
    }

    /// <summary><c>value[start:stop:step]</c>.</summary>
    public static object? Slice(object? value, object? start, object? stop, object? step)
    {
        if (value is Undefined undefined) throw undefined.Error();
        value = SafeText.Plain(value);
        if (value is PythonDictionary) throw new TemplateException(TemplateErrorKind.TypeError, "unhashable type: 'slice'");
        if (value is not (string or IReadOnlyList<object?>)) return new Undefined($"{Printing.TypeName(value)} object cannot be sliced");
        var items = Items(value);
        var by = Bound(step, 1);
        if (by == 0) throw new TemplateException(TemplateErrorKind.ValueError, "slice step cannot be zero");
        var (low, high) = by > 0 ? (0, items.Count) : (-1, items.Count - 1);
        var (from, to) = (Place(start, by > 0 ? low : high), Place(stop, by > 0 ? high : low));
        var taken = new List<object?>();
        for (var i = from; by > 0 ? i < to : i > to; i += by) taken.Add(items[(int)i]);
        return value switch { string => string.Concat(taken.Cast<string>()), PythonTuple => new PythonTuple([.. taken]), _ => taken };

        long Place(object? bound, int otherwise)
        {
            if (bound is null) return otherwise;
            var place = Bound(bound, 0);
            if (place < 0) place += items.Count;
            return Math.Clamp(place, low, high);
        }
    }

    /// <summary>The number of an int or a float, for comparisons; null for anything else.</summary>
    public static Number? AsNumber(object? value) => value switch
    {
        bool truth => new Number(truth ? 1 : 0, null),
        BigInteger number => new Number(number, null),
        double number => new Number(default, number),
        _ => null,
    };

    public static BigInteger WholeOf(object? value) => value is bool truth ? (truth ? 1 : 0) : (BigInteger)value!;

    /// <summary>Throws where a result would be too large to be meant.</summary>
    public static T LimitedCount<T>(long count, Func<T> make) => count <= MaxItems
        ? make()
        : throw new TemplateException(TemplateErrorKind.OverflowError, $"a result of {count} items; at most {MaxItems} are allowed");

    private static long Bound(object? bound, long otherwise) => bound switch
    {
        null => otherwise,
        BigInteger number => (long)BigInteger.Clamp(number, -MaxItems, MaxItems),
        bool truth => truth ? 1 : 0,
        _ => throw new TemplateException(TemplateErrorKind.TypeError, "slice indices must be integers or None"),
    };

    private static int CompareText(string left, string right)
    {
        // By code point: UTF-16 order differs where one has a surrogate pair and the other a letter from U+E000 on.
        var (a, b) = (left.EnumerateRunes(), right.EnumerateRunes());
        while (true)
        {
            var (more, others) = (a.MoveNext(), b.MoveNext());
            if (!more || !others) return more.CompareTo(others);
            if (a.Current != b.Current) return a.Current.CompareTo(b.Current);
        }
    }

    private static bool EqualItems(IReadOnlyList<object?> left, IReadOnlyList<object?> right)
    {
        if (left.Count != right.Count) return false;
        for (var i = 0; i < left.Count; i++)
            if (!Equal(left[i], right[i])) return false;
        return true;
    }

    private static double? AsDouble(object? value) => value switch
    {
        double number => number,
        bool or BigInteger => (double)WholeOf(value),
        _ => null,
    };

    private static double Real(string sign, double left, double right)
    {
        if (right == 0 && (sign is "/" or "//" or "%" || (sign == "**" && left == 0 && double.IsNegative(right))))
            throw new TemplateException(TemplateErrorKind.ZeroDivisionError, "division by zero");
        return sign switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            "//" => Math.Floor(left / right),
            "%" => left - (Math.Floor(left / right) * right),
            _ => Math.Pow(left, right),
        };
    }

    private static object Whole(string sign, BigInteger left, BigInteger right)
    {
        switch (sign)
        {
            case "+": return left + right;
            case "-": return left - right;
            case "*": return LimitedCount(left.GetByteCount() + (long)right.GetByteCount(), () => left * right);
            case "**" when right < 0 && left.IsZero:
                throw new TemplateException(TemplateErrorKind.ZeroDivisionError, "0.0 cannot be raised to a negative power");
            case "**" when right < 0: return Math.Pow((double)left, (double)right);
            case "**":
                var digits = (double)right * Math.Max(1, BigInteger.Log10(BigInteger.Abs(left) + 1));
                return LimitedCount(digits > 4000 ? long.MaxValue : 0, () => BigInteger.Pow(left, (int)right));
        }

        if (right.IsZero) throw new TemplateException(TemplateErrorKind.ZeroDivisionError, "division by zero");
        var quotient = BigInteger.DivRem(left, right, out var remainder);
        if (!remainder.IsZero && remainder.Sign != right.Sign) (quotient, remainder) = (quotient - 1, remainder + right);
        return sign == "//" ? quotient : remainder;
    }

    private static string Escaped(object? value) => value is SafeText safe ? safe.Text : Filters.Escaped((string)value!);

    private static string Limited(string left, string right) => LimitedCount((long)left.Length + right.Length, () => left + right);

    private static object Repeat(object? value, BigInteger times)
    {
        var count = times < 0 ? 0 : (long)BigInteger.Min(times, MaxItems + 1L);
        if (value is string text)
            return LimitedCount(count * text.Length, () => new StringBuilder().Insert(0, text, (int)count).ToString());
        var items = (IReadOnlyList<object?>)value!;
        var all = LimitedCount(count * items.Count, () => Enumerable.Repeat(items, (int)count).SelectMany(part => part).ToList());
        return value is PythonTuple ? new PythonTuple([.. all]) : all;
    }

    private static TemplateException Unsupported(string start, object? left, string and, object? right) =>
        new(TemplateErrorKind.TypeError, $"{start} '{Printing.TypeName(left)}' {and} '{Printing.TypeName(right)}'");

    /// <summary>An int or a float; the two compare by value.</summary>
    internal readonly record struct Number(BigInteger Whole, double? Real) : IComparable<Number>
    {
        public int CompareTo(Number other) =>
            Real is null && other.Real is null ? Whole.CompareTo(other.Whole) : AsReal.CompareTo(other.AsReal);

        public bool Equals(Number other) =>
            Real is null && other.Real is null ? Whole == other.Whole : AsReal == other.AsReal;

        public override int GetHashCode() => AsReal.GetHashCode();

        private double AsReal => Real ?? (double)Whole;
    }
}
