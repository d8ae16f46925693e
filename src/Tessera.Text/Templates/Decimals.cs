using System.Numerics;

namespace Tessera.Text.Templates;

/// <summary>
/// Finite numbers with a given number of digits, rounded as Python and C do it: from the exact value of the binary number, a tie to the
/// even digit. 2.675 is a little less than it looks and has 2.67 at two decimals; 0.125 has 0.12.
/// </summary>
internal static class Decimals
{
    /// <summary>The digits of |value| with so many decimals, point included.</summary>
    public static string Fixed(double value, int decimals)
    {
        var digits = Scaled(value, decimals).ToString(System.Globalization.CultureInfo.InvariantCulture).PadLeft(decimals + 1, '0');
        return decimals == 0 ? digits : $"{digits[..^decimals]}.{digits[^decimals..]}";
    }

    /// <summary>|value| as <c>d.ddd · 10^exponent</c>: so many digits without a point, and the exponent.</summary>
    public static (string Digits, int Exponent) Scientific(double value, int digits)
    {
        if (value == 0) return (new string('0', digits), 0);
        var exponent = (int)Math.Floor(Math.Log10(Math.Abs(value)));
        var scaled = Scaled(value, digits - 1 - exponent);
        if (scaled < BigInteger.Pow(10, digits - 1)) scaled = Scaled(value, digits - 1 - --exponent);
        if (scaled >= BigInteger.Pow(10, digits)) scaled = Scaled(value, digits - 1 - ++exponent);
        return (scaled.ToString(System.Globalization.CultureInfo.InvariantCulture), exponent);
    }

    /// <summary>The nearest number with so many decimals; negative: rounded to tens, hundreds and so on.</summary>
    public static double Round(double value, int decimals)
    {
        if (!double.IsFinite(value) || decimals > 330) return value;
        var rounded = $"{Scaled(value, Math.Max(decimals, -330))}E{-Math.Max(decimals, -330)}";
        return Math.CopySign(double.Parse(rounded, System.Globalization.CultureInfo.InvariantCulture), value);
    }

    /// <summary>The whole number next to |value| · 10^power.</summary>
    private static BigInteger Scaled(double value, int power)
    {
        var bits = BitConverter.DoubleToInt64Bits(value);
        var exponent = (int)((bits >> 52) & 0x7FF);
        BigInteger mantissa = (bits & 0xFFFFFFFFFFFFF) | (exponent == 0 ? 0 : 1L << 52);
        exponent = Math.Max(exponent, 1) - 1075;
        var (above, below) = (mantissa, BigInteger.One);
        if (exponent > 0) above <<= exponent;
        else below <<= -exponent;
        if (power > 0) above *= BigInteger.Pow(10, power);
        else below *= BigInteger.Pow(10, -power);
        var whole = BigInteger.DivRem(above, below, out var rest);
        var half = (rest * 2).CompareTo(below);
        return half > 0 || (half == 0 && !whole.IsEven) ? whole + 1 : whole;
    }
}
