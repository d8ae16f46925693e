using System.Globalization;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Normalization form C: characters taken apart canonically, marks put in order, and put together again, so that é is
/// one character however it was typed. <see cref="string.Normalize()"/> does nothing where globalization is invariant.
/// <para>Unicode Standard Annex 15, <see href="https://www.unicode.org/reports/tr15/"/>.</para>
/// </summary>
public sealed class NfcNormalizer : Normalizer
{
    // Hangul syllables follow a formula: 19 leading consonants, 21 vowels, 27 trailing consonants or none.
    private const int Syllable = 0xAC00, Lead = 0x1100, Vowel = 0x1161, Trail = 0x11A7;
    private const int Vowels = 21, Trails = 28, Syllables = 19 * Vowels * Trails;

    private static readonly char[] _blanks = [' ', '\n', '\r'];

    private static readonly Dictionary<int, int[]> _decompositions = [];
    private static readonly Dictionary<(int, int), int> _compositions = [];
    private static readonly Dictionary<int, byte> _classes = [];

    // Characters that can differ from their normal form or change the one before; texts without them stay as they are.
    private static readonly HashSet<int> _active = [];

    static NfcNormalizer()
    {
        foreach (var entry in CanonicalData.Decompositions.Split(_blanks, StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = entry.IndexOf(':', StringComparison.Ordinal);
            var code = Hexadecimal(entry[..colon].TrimEnd('!'));
            var parts = entry[(colon + 1)..].Split('+').Select(Hexadecimal).ToArray();
            _decompositions[code] = parts;
            if (entry[colon - 1] == '!') _active.Add(code);
            else
            {
                _compositions[(parts[0], parts[1])] = code;
                _active.Add(parts[1]);
            }
        }

        foreach (var entry in CanonicalData.CombiningClasses.Split(_blanks, StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = entry.Split(':');
            var ends = parts[0].Split('-').Select(Hexadecimal).ToArray();
            for (var code = ends[0]; code <= ends[^1]; code++)
            {
                _classes[code] = byte.Parse(parts[1], CultureInfo.InvariantCulture);
                _active.Add(code);
            }
        }

        _active.UnionWith(Enumerable.Range(Vowel, Vowels));
        _active.UnionWith(Enumerable.Range(Trail + 1, Trails - 1));
    }

    private protected override string Kind => "NFC";

    /// <inheritdoc/>
    public override string Normalize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!MayChange(text)) return text;
        var codes = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes()) Decompose(rune.Value, codes);
        SortMarks(codes);
        var composed = new StringBuilder(text.Length);
        foreach (var code in Compose(codes)) composed.Append(new Rune(code));
        return composed.ToString();
    }

    private static bool MayChange(string text)
    {
        // Nothing below the combining marks is ever taken apart for good.
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', '\u02FF') < 0) return false;
        foreach (var rune in text.EnumerateRunes())
            if (rune.Value >= 0x300 && _active.Contains(rune.Value)) return true;
        return false;
    }

    private static void Decompose(int code, List<int> into)
    {
        var syllable = code - Syllable;
        if (syllable is >= 0 and < Syllables)
        {
            into.Add(Lead + syllable / (Vowels * Trails));
            into.Add(Vowel + syllable / Trails % Vowels);
            if (syllable % Trails != 0) into.Add(Trail + syllable % Trails);
        }
        else if (_decompositions.TryGetValue(code, out var parts))
        {
            foreach (var part in parts) Decompose(part, into);
        }
        else
        {
            into.Add(code);
        }
    }

    /// <summary>Puts each run of marks in the order of their classes, those of one class as they came.</summary>
    private static void SortMarks(List<int> codes)
    {
        for (var i = 0; i < codes.Count; i++)
        {
            var start = i;
            while (i < codes.Count && _classes.ContainsKey(codes[i])) i++;
            if (i - start < 2) continue;
            var marks = codes.GetRange(start, i - start).OrderBy(mark => _classes[mark]).ToArray();
            for (var mark = 0; mark < marks.Length; mark++) codes[start + mark] = marks[mark];
        }
    }

    /// <summary>
    /// Joins each character with the starter before it where a composition exists and no mark of its class is between.
    /// </summary>
    private static List<int> Compose(List<int> codes)
    {
        var composed = new List<int>(codes.Count);
        var starter = -1;
        var lastClass = 0;
        foreach (var code in codes)
        {
            var combiningClass = _classes.GetValueOrDefault(code);
            if (starter >= 0 && (lastClass == 0 || lastClass < combiningClass)
                && Composite(composed[starter], code) is var composite and > 0)
            {
                composed[starter] = composite;
                continue;
            }

            if (combiningClass == 0) starter = composed.Count;
            lastClass = combiningClass;
            composed.Add(code);
        }

        return composed;
    }

    private static int Composite(int first, int second)
    {
        if (first is >= Lead and < Lead + 19 && second is >= Vowel and < Vowel + Vowels)
            return Syllable + ((first - Lead) * Vowels + second - Vowel) * Trails;
        var opens = first - Syllable is >= 0 and < Syllables && (first - Syllable) % Trails == 0;
        if (opens && second is > Trail and < Trail + Trails) return first + second - Trail;
        return _compositions.GetValueOrDefault((first, second));
    }

    private static int Hexadecimal(string digits) =>
        int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
