using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

/// <summary>
/// How a value is written: Python's format specification, <c>[[fill]align][sign][#][0][width][grouping][.precision][type]</c>. Also what
/// the fields of <c>%</c> come to.
/// </summary>
internal sealed record FormatSpecification
{
    private const int MaxWidth = 10_000;

    public string Fill { get; init; } = " ";

    /// <summary><c>&lt;</c>, <c>&gt;</c>, <c>^</c>, or <c>=</c>, which fills behind the sign; null: as the type has it.</summary>
    public char? Align { get; init; }

    /// <summary><c>+</c>, blank, or <c>-</c>, which marks negative numbers alone.</summary>
    public char? Sign { get; init; }

    public bool Alternate { get; init; }

    public int Width { get; init; }

    /// <summary><c>,</c> or <c>_</c> between groups of digits.</summary>
    public char? Grouping { get; init; }

    public int? Precision { get; init; }

    /// <summary>The last letter; null where there is none.</summary>
    public char? Type { get; init; }

    public static FormatSpecification Parse(string text)
    {
        var place = 0;
        var runes = text.EnumerateRunes().Take(2).ToList();
        var (fill, align) = (" ", (char?)null);
        if (runes is [var first, var second] && second.Value is '<' or '>' or '^' or '=')
        {
            (fill, align) = (first.ToString(), (char)second.Value);
            place = fill.Length + 1;
        }
        else
        {
            align = Take("<>^=");
        }

        var sign = Take("+- ");
        var alternate = Take("#") is not null;
        if (fill == " " && Take("0") is not null) (fill, align) = ("0", align ?? '=');
        var width = Number();
        var grouping = Take(",_");
        int? precision = null;
        if (Take(".") is not null) precision = Number() ?? throw Invalid("Format specifier missing precision");
        var type = place < text.Length ? text[place++] : (char?)null;
        if (place < text.Length) throw Invalid($"Invalid format specifier '{text}'");
        return new FormatSpecification
        {
            Fill = fill, Align = align, Sign = sign, Alternate = alternate, Width = width ?? 0, Grouping = grouping, Precision = precision,
            Type = type,
        };

        char? Take(string letters) => place < text.Length && letters.Contains(text[place]) ? text[place++] : null;

        int? Number()
        {
            var start = place;
            while (place < text.Length && char.IsAsciiDigit(text[place])) place++;
            return start == place ? null
                : int.TryParse(text.AsSpan(start, place - start), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                    && number <= MaxWidth ? number
                : throw Invalid("Too many decimal digits in format string");
        }
    }

    /// <summary>What <c>format(value, specification)</c> gives.</summary>
    public string Show(object? value)
    {
        switch (SafeText.Plain(value))
        {
            case string text: return ShowText(text);
            case bool when this == new FormatSpecification(): return Printing.Text(value);
            case BigInteger or bool when Type is null or 'b' or 'c' or 'd' or 'n' or 'o' or 'x' or 'X':
                return ShowWhole(Operators.WholeOf(value));
            case BigInteger or bool or double when Type is null or 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or 'n' or '%':
                return ShowReal(value is double real ? real : (double)Operators.WholeOf(value));
            case BigInteger or bool or double:
                throw Invalid($"Unknown format code '{Type}' for object of type '{Printing.TypeName(value)}'");
            case var other when this == new FormatSpecification(): return Printing.Text(other);
            default:
                throw new TemplateException(
                    TemplateErrorKind.TypeError, $"unsupported format string passed to {Printing.TypeName(value)}.__format__");
        }
    }

    /// <summary>Digits with what stands before them, filled to the width.</summary>
    public string ShowNumber(bool negative, string prefix, string digits, string rest, int group = 3)
    {
        var sign = negative ? "-" : Sign is '+' or ' ' ? Sign.ToString() : "";
        var start = sign + prefix;
        var zeros = Fill == "0" && Align == '=';
        var length = digits.Length;
        while (zeros && start.Length + Grouped(digits, group).Length + rest.Length < Width) digits = digits.PadLeft(++length, '0');
        var body = Grouped(digits, group) + rest;
        return Align == '='
            ? start + StringMethods.Pad(body, Width - start.Length, Fill, left: 1)
            : Filled(start + body, Align ?? '>');
    }

    private string ShowText(string text)
    {
        if (Type is not (null or 's')) throw Invalid($"Unknown format code '{Type}' for object of type 'str'");
        if (Sign is not null) throw Invalid("Sign not allowed in string format specifier");
        if (Grouping is not null) throw Invalid($"Cannot specify '{Grouping}' with 's'.");
        if (Align == '=' && Fill != "0") throw Invalid("'=' alignment not allowed in string format specifier");
        if (Precision is { } most && most < Operators.CodePoints(text))
            text = (string)Operators.Slice(text, null, (BigInteger)most, null)!;
        return Filled(text, Align is null or '=' ? '<' : Align.Value);
    }

    private string ShowWhole(BigInteger number)
    {
        if (Precision is not null) throw Invalid("Precision not allowed in integer format specifier");
        if (Type == 'c') return Filled(StringFormat.Character(number), Align ?? '<');
        var (prefix, digits) = Digits(BigInteger.Abs(number), Type ?? 'd');
        return ShowNumber(number.Sign < 0, Alternate ? prefix : "", digits, "", Type is 'b' or 'o' or 'x' or 'X' ? 4 : 3);
    }

    private string ShowReal(double number)
    {
        var negative = double.IsNegative(number) && !double.IsNaN(number);
        var text = Real(number, Type, Precision, Alternate);
        var end = 0;
        while (end < text.Length && char.IsAsciiDigit(text[end])) end++;
        return ShowNumber(negative, "", text[..end], text[end..]);
    }

    /// <summary>The prefix and digits of a whole number that is not negative, in the base of a type.</summary>
    public static (string Prefix, string Digits) Digits(BigInteger number, char type) => type switch
    {
        'b' => ("0b", number.ToString("b", CultureInfo.InvariantCulture).TrimStart('0') is { Length: > 0 } bits ? bits : "0"),
        'o' => ("0o", Octal(number)),
        'x' => ("0x", Hexadecimal(number)),
        'X' => ("0X", Hexadecimal(number).ToUpperInvariant()),
        _ => ("", number.ToString(CultureInfo.InvariantCulture)),
    };

    /// <summary>|number| in the way of a type: e, f, g, %, or as Python prints it.</summary>
    public static string Real(double number, char? type, int? precision, bool alternate = false)
    {
        if (!double.IsFinite(number))
        {
            var name = double.IsNaN(number) ? "nan" : "inf";
            return (type is 'E' or 'F' or 'G' ? name.ToUpperInvariant() : name) + (type == '%' ? "%" : "");
        }

        return type switch
        {
            'f' or 'F' => Decimals.Fixed(number, precision ?? 6),
            '%' => Decimals.Fixed(number * 100, precision ?? 6) + "%",
            'e' or 'E' => Exponent(Decimals.Scientific(number, (precision ?? 6) + 1), type.Value),
            'g' or 'G' or 'n' => General(number, precision ?? 6, type == 'G' ? 'E' : 'e', alternate, point: false),
            _ when precision is { } digits => General(number, digits, 'e', alternate, point: true),
            _ => Printing.Number(Math.Abs(number)),
        };
    }

    /// <summary>With so many digits, the shorter of both ways; where <paramref name="point"/> one decimal at least.</summary>
    private static string General(double number, int digits, char letter, bool alternate, bool point)
    {
        digits = Math.Max(1, digits);
        var (all, exponent) = Decimals.Scientific(number, digits);
        var kept = alternate || all.TrimEnd('0') is not { Length: > 0 } some ? alternate ? all : "0" : some;
        if (exponent < -4 || exponent + 1 > digits - (point ? 1 : 0)) return Exponent((kept, exponent), letter);
        if (exponent < 0) return $"0.{new string('0', -exponent - 1)}{kept}";
        var whole = kept.PadRight(exponent + 1, '0');
        return whole.Length > exponent + 1 ? $"{whole[..(exponent + 1)]}.{whole[(exponent + 1)..]}" : point ? $"{whole}.0" : whole;
    }

    private static string Exponent((string Digits, int Exponent) number, char letter)
    {
        var fraction = number.Digits.Length > 1 ? "." + number.Digits[1..] : "";
        return $"{number.Digits[0]}{fraction}{letter}{(number.Exponent < 0 ? '-' : '+')}{Math.Abs(number.Exponent):00}";
    }

    private static string Hexadecimal(BigInteger number) =>
        number.IsZero ? "0" : number.ToString("x", CultureInfo.InvariantCulture).TrimStart('0');

    private static string Octal(BigInteger number)
    {
        var digits = new StringBuilder();
        for (; number > 7; number >>= 3) digits.Insert(0, (int)(number & 7));
        return digits.Insert(0, (int)number).ToString();
    }

    private string Grouped(string digits, int group)
    {
        if (Grouping is not { } between || digits.Length == 0 || !char.IsAsciiHexDigit(digits[0])) return digits;
        var grouped = new StringBuilder(digits);
        for (var i = digits.Length - group; i > 0; i -= group) grouped.Insert(i, between);
        return grouped.ToString();
    }

    private string Filled(string text, char align) => align switch
    {
        '<' => StringMethods.Pad(text, Width, Fill, left: 0),
        '^' => text.Length < Width ? Centered(text) : text,
        _ => StringMethods.Pad(text, Width, Fill, left: 1),
    };

    /// <summary>In the middle; what cannot be halved stands more to the right.</summary>
    private string Centered(string text)
    {
        var missing = Math.Max(0, Width - Operators.CodePoints(text));
        return StringMethods.Pad(StringMethods.Pad(text, Width - missing + (missing / 2), Fill, left: 1), Width, Fill, left: 0);
    }

    private static TemplateException Invalid(string why) => new(TemplateErrorKind.ValueError, why);
}
