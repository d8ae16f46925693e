using System.Globalization;
using System.Numerics;

namespace Tessera.Text.Templates;

/// <summary>Python's <c>int(…)</c>, <c>float(…)</c> and <c>round(…)</c>, and the attributes of numbers.</summary>
internal static class Numbers
{
    private const int MaxDigits = 4300;

    /// <summary>A number, or a text that is one; null for anything else.</summary>
    public static double? Real(object? value) => value switch
    {
        double number => number,
        bool or BigInteger => (double)Operators.WholeOf(value),
        string text => Real(StringMethods.Strip(text, null, start: true, end: true)),
        _ => null,
    };

    /// <summary>A whole number, or a text that is one in a base from 2 to 36, or 0, where its prefix says; reals are cut. Null for anything
    /// else.</summary>
    public static BigInteger? Whole(object? value, int radix)
    {
        switch (value)
        {
            case bool or BigInteger: return Operators.WholeOf(value);
            case double number: return double.IsFinite(number) ? new BigInteger(number) : null;
            case string text:
                return Digits(StringMethods.Strip(text, null, start: true, end: true), radix)
                    ?? (Real(text) is { } real && double.IsFinite(real) ? new BigInteger(real) : null);
            default: return null;
        }
    }

    /// <summary>To tens, hundreds and so on where <paramref name="digits"/> is negative; a tie to the even one.</summary>
    public static BigInteger Round(BigInteger number, int digits)
    {
        if (digits >= 0) return number;
        if (digits < -MaxDigits) return BigInteger.Zero;
        var unit = BigInteger.Pow(10, -digits);
        var (whole, rest) = BigInteger.DivRem(BigInteger.Abs(number), unit);
        var half = (rest * 2).CompareTo(unit);
        return number.Sign * unit * (half > 0 || (half == 0 && !whole.IsEven) ? whole + 1 : whole);
    }

    /// <summary>What a template may read of a number.</summary>
    public static object? Attribute(object number, string name) => (name, number) switch
    {
        ("real", _) => number is bool ? Operators.WholeOf(number) : number,
        ("imag", double) => 0.0,
        ("imag", _) => BigInteger.Zero,
        ("numerator", BigInteger or bool) => Operators.WholeOf(number),
        ("denominator", BigInteger or bool) => BigInteger.One,
        ("bit_length", BigInteger or bool) => new Function(name, "/", _ => BigLength(Operators.WholeOf(number))),
        ("is_integer", double own) => new Function(name, "/", _ => double.IsInteger(own)),
        _ => null,
    };

    private static object BigLength(BigInteger number) => (BigInteger)(number.IsZero ? 0 : BigInteger.Abs(number).GetBitLength());

    private static double? Real(string text)
    {
        if (Without(text) is not { } plain) return null;
        return plain.TrimStart('+', '-').ToUpperInvariant() switch
        {
            "INF" or "INFINITY" when HasOneSign(plain) => plain[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity,
            "NAN" when HasOneSign(plain) => double.NaN,
            _ => plain.All(letter => char.IsAsciiDigit(letter) || letter is '.' or 'e' or 'E' or '+' or '-')
                && double.TryParse(plain, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null,
        };
    }

    private static BigInteger? Digits(string text, int radix)
    {
        if (radix is not (0 or (>= 2 and <= 36))) return null;
        if (Without(text) is not { Length: > 0 and < MaxDigits } plain || !HasOneSign(plain)) return null;
        var digits = plain.TrimStart('+', '-').ToLowerInvariant();
        foreach (var (prefix, own) in new[] { ("0x", 16), ("0o", 8), ("0b", 2) })
        {
            if ((radix != 0 && radix != own) || !digits.StartsWith(prefix, StringComparison.Ordinal)) continue;
            (digits, radix) = (digits[2..], own);
        }

        if (radix == 0)
        {
            if (digits.Length > 1 && digits[0] == '0' && digits.Trim('0').Length > 0) return null; // 012 could mean two numbers
            radix = 10;
        }

        var number = BigInteger.Zero;
        foreach (var letter in digits)
        {
            var digit = char.IsAsciiDigit(letter) ? letter - '0' : letter is >= 'a' and <= 'z' ? letter - 'a' + 10 : int.MaxValue;
            if (digit >= radix) return null;
            number = (number * radix) + digit;
        }

        return digits.Length == 0 ? null : plain[0] == '-' ? -number : number;
    }

    private static bool HasOneSign(string text) => text.Length > 0 && text.AsSpan(1).IndexOfAny('+', '-') < 0;

    /// <summary>A number without the underscores between its digits; null where they stand elsewhere.</summary>
    private static string? Without(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '_') continue;
            if (i == 0 || i + 1 == text.Length || !char.IsLetterOrDigit(text[i - 1]) || !char.IsLetterOrDigit(text[i + 1])) return null;
        }

        return text.Replace("_", "", StringComparison.Ordinal);
    }
}
