using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// A pattern run by <see cref="Regex"/>. A character above U+FFFF is first replaced by a lesser one of the same
/// category, which patterns made of categories, blanks and named characters cannot tell apart.
/// </summary>
/// <param name="expression">An expression in the syntax of .NET.</param>
internal sealed class RegexPattern(string expression) : SplitPattern
{
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

    // What a \ may stand before: categories, blanks, digits, and signs that stand for themselves.
    private const string Escapes = "pPsSdrnt\\/\"'`~!@#$%^&*()-_=+[]{}|;:,.<>? ";

    private static readonly char[] _standIns = StandIns();

    // A file may come with an expression that takes for ever; one match never needs this long.
    private readonly Regex _regex =
        new(expression, RegexOptions.Compiled | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(10));

    public override bool CoversEverything => false;

    public override void Match(ReadOnlySpan<char> text, int offset, List<Piece> matches)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
        {
            MatchRunes(text, offset, matches);
            return;
        }

        foreach (var match in _regex.EnumerateMatches(text))
            if (match.Length > 0) matches.Add(new Piece(offset + match.Index, match.Length));
    }

    private void MatchRunes(ReadOnlySpan<char> text, int offset, List<Piece> matches)
    {
        var flat = new StringBuilder(text.Length);
        var starts = new List<int>(text.Length + 1);
        var index = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            flat.Append(rune.IsBmp ? (char)rune.Value : _standIns[(int)Rune.GetUnicodeCategory(rune)]);
            starts.Add(index);
            index += rune.Utf16SequenceLength;
        }

        starts.Add(index);
        foreach (var match in _regex.EnumerateMatches(flat.ToString()))
        {
            var start = starts[match.Index];
            if (match.Length > 0) matches.Add(new Piece(offset + start, starts[match.Index + match.Length] - start));
        }
    }

    /// <summary>An expression of Oniguruma in .NET's syntax.</summary>
    /// <exception cref="ArgumentException">It holds something that .NET reads in another way.</exception>
    public static string Translate(string expression)
    {
        var contractions = expression.Contains(Contractions, StringComparison.Ordinal);
        var rest = expression.Replace(Contractions, "", StringComparison.Ordinal);
        foreach (var construct in (string[])["(?i", "(?<", "(?m", "(?s", "(?x", "&&", "[:", "-[", "{,"])
        {
            if (rest.Contains(construct, StringComparison.Ordinal)) throw Different(construct);
        }

        var inClass = false;
        for (var i = 0; i < rest.Length; i++)
        {
            var (now, next) = (rest[i], i + 1 < rest.Length ? rest[i + 1] : '\0');
            if (now == '\\')
            {
                if (!Escapes.Contains(next)) throw Different($"\\{next}");
                i++;
            }
            else if (inClass) inClass = now != ']';
            else if (now == '[')
            {
                inClass = true;
                if (next == '^') i++;
            }
            else if (now is '^' or '$' or '.') throw Different($"{now}");
            else if (char.IsSurrogate(now)) throw Different("a character above U+FFFF");
        }

        // Oniguruma folds the long s to s, .NET does not.
        return contractions ? expression.Replace("'s", "'[sſ]", StringComparison.Ordinal) : expression;

        ArgumentException Different(string construct) =>
            new($"'{construct}' in the regular expression '{expression}' is not supported.", nameof(expression));
    }

    /// <summary>
    /// For each category its last character before the Hangul syllables, where few patterns name one.
    /// </summary>
    private static char[] StandIns()
    {
        var standIns = new char[30];
        Array.Fill(standIns, '\uE000');
        for (var character = '\0'; character < '\uAC00'; character++)
            standIns[(int)CharUnicodeInfo.GetUnicodeCategory(character)] = character;
        return standIns;
    }
}
