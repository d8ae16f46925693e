using System.Globalization;
using System.Text;

namespace Tessera.Benchmarks.Fuzz;

/// <summary>Damages files as tears, mistakes and attackers do.</summary>
internal static class Mutation
{
    private const int MaxChanges = 5, LongestPiece = 64;

    private static readonly byte[][] s_texts =
    [
        .. new[]
        {
            "{",
            "}",
            "[",
            "]",
            "\"",
            ",",
            ":",
            "-1",
            "0",
            "1e999",
            "NaN",
            "null",
            "true",
            "9223372036854775807",
            "18446744073709551616",
            "\\u0000",
            "\\ud800",
            "../", "/dev/zero", "{%", "%}", "{{", "}}", "|", "[[", "((", "\n", " ", "\u00ff",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    private static readonly ulong[] s_numbers =
    [
        0,
        1,
        0x7F,
        0xFF,
        0x7FFF,
        0xFFFF,
        0x7FFFFFFF,
        0x80000000,
        0xFFFFFFFF,
        1UL << 32,
        1UL << 40,
        1UL << 62,
        long.MaxValue,
        1UL << 63,
        ulong.MaxValue,
    ];

    /// <summary>A copy of a file with one to five changes, most often one; half of them in its first 4 KiB, where headers are.</summary>
    public static byte[] Of(byte[] seed, Random random)
    {
        var bytes = seed;
        for (var change = random.Next(2) == 0 ? 1 : random.Next(1, MaxChanges + 1); change > 0 && bytes.Length > 0; change--)
        {
            var at = random.Next(random.Next(2) == 0 ? bytes.Length : Math.Min(bytes.Length, 4096));
            bytes = Change(bytes, at, random);
        }

        return bytes;
    }

    private static byte[] Change(byte[] bytes, int at, Random random)
    {
        var end = Math.Min(bytes.Length, at + random.Next(1, LongestPiece));
        switch (random.Next(9))
        {
            case 0: return With(bytes, at, [(byte)(bytes[at] ^ (1 << random.Next(8)))]);
            case 1: return With(bytes, at, [(byte)random.Next(256)]);
            case 2: return random.Next(4) == 0 ? bytes[..at] : [.. bytes[..at], .. bytes[end..]];
            case 3: return [.. bytes[..at], .. bytes[at..end], .. bytes[at..]];
            case 4:
                var from = random.Next(bytes.Length);
                return [.. bytes[..at], .. bytes[from..Math.Min(bytes.Length, from + random.Next(1, LongestPiece))], .. bytes[at..]];
            case 5: return [.. bytes[..at], .. s_texts[random.Next(s_texts.Length)], .. bytes[at..]];
            case 6: return With(bytes, at, s_texts[random.Next(s_texts.Length)]);
            case 7: return With(bytes, at, BitConverter.GetBytes(s_numbers[random.Next(s_numbers.Length)]).AsSpan(0, 1 << random.Next(4)));
            default: return Digits(bytes, at, random);
        }
    }

    /// <summary>The next number that is written in digits becomes another one.</summary>
    private static byte[] Digits(byte[] bytes, int at, Random random)
    {
        while (at < bytes.Length && !char.IsAsciiDigit((char)bytes[at])) at++;
        var end = at;
        while (end < bytes.Length && char.IsAsciiDigit((char)bytes[end])) end++;
        var number = random.Next(3) == 0 ? (ulong)random.Next(1000) : s_numbers[random.Next(s_numbers.Length)];
        return [.. bytes[..at], .. Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture)), .. bytes[end..]];
    }

    private static byte[] With(byte[] bytes, int at, ReadOnlySpan<byte> piece)
    {
        var copy = (byte[])bytes.Clone();
        piece[..Math.Min(piece.Length, copy.Length - at)].CopyTo(copy.AsSpan(at));
        return copy;
    }
}
