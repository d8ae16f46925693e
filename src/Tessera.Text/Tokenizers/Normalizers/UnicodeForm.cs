using System.Globalization;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// The four normalization forms: characters taken apart (D) and marks put in order, and for C put together again; with
/// K also what only looks different, such as ﬁ, ① or Ａ. <see cref="string.Normalize()"/> does nothing where
/// globalization is invariant.
/// <para>Unicode Standard Annex 15, <see href="https://www.unicode.org/reports/tr15/"/>.</para>
/// </summary>
internal sealed class UnicodeForm
{
    // Hangul syllables follow a formula: 19 leading consonants, 21 vowels, 27 trailing consonants or none.
    private const int Syllable = 0xAC00, Lead = 0x1100, Vowel = 0x1161, Trail = 0x11A7;
    private const int Vowels = 21, Trails = 28, Syllables = 19 * Vowels * Trails;

    private static readonly char[] _blanks = [' ', '\n', '\r'];

    private static readonly Dictionary<int, int[]> _canonical = [];
    private static readonly Dictionary<int, int[]> _compatible = [];
    private static readonly Dictionary<(int, int), int> _compositions = [];
    private static readonly Dictionary<int, byte> _classes = [];

    // Characters that composition never makes, or may join to the one before.
    private static readonly HashSet<int> _unstable = [];

    private readonly bool _compatibility;
    private readonly bool _composes;

    // Characters that can differ from their normal form or change the one before; texts without them stay as they are.
    private readonly HashSet<int> _active;
    private readonly char _leastActive;

    static UnicodeForm()
    {
        foreach (var (name, parts) in Entries(CanonicalData.Decompositions))
        {
            var code = Hexadecimal(name.TrimEnd('!'));
            var apart = parts.Split('+').Select(Hexadecimal).ToArray();
            _canonical[code] = apart;
            if (name[^1] != '!') _compositions[(apart[0], apart[1])] = code;
            _unstable.Add(name[^1] == '!' ? code : apart[1]);
        }

        foreach (var (name, parts) in Entries(CompatibilityData.Decompositions))
        {
            var (first, last) = Range(name);
            var apart = parts.Split('+').Select(Hexadecimal).ToArray();
            for (var code = first; code <= last; code++)
                _compatible[code] = apart.Length > 1 ? apart : [apart[0] + code - first];
        }

        foreach (var (name, value) in Entries(CanonicalData.CombiningClasses))
        {
            var (first, last) = Range(name);
            for (var code = first; code <= last; code++)
                _classes[code] = byte.Parse(value, CultureInfo.InvariantCulture);
        }

        C = new UnicodeForm(compatibility: false, composes: true);
        D = new UnicodeForm(compatibility: false, composes: false);
        KC = new UnicodeForm(compatibility: true, composes: true);
        KD = new UnicodeForm(compatibility: true, composes: false);
    }

    private UnicodeForm(bool compatibility, bool composes)
    {
        (_compatibility, _composes) = (compatibility, composes);
        _active = [.. _classes.Keys, .. (IEnumerable<int>)(composes ? _unstable : [.. _canonical.Keys])];
        if (compatibility) _active.UnionWith(_compatible.Keys);
        if (composes) _active.UnionWith([.. Enumerable.Range(Vowel, Vowels), .. Enumerable.Range(Trail + 1, Trails - 1)]);
        else _active.UnionWith(Enumerable.Range(Syllable, Syllables));
        _leastActive = (char)_active.Min();
    }

    /// <summary>Form C: characters put together.</summary>
    public static UnicodeForm C { get; }

    /// <summary>Form D: characters taken apart.</summary>
    public static UnicodeForm D { get; }

    /// <summary>Form KC: what only looks different made equal, and put together.</summary>
    public static UnicodeForm KC { get; }

    /// <summary>Form KD: what only looks different made equal, and taken apart.</summary>
    public static UnicodeForm KD { get; }

    /// <summary>A well formed text in this form; the very same where it already is.</summary>
    public string Apply(string text)
    {
        if (!MayChange(text)) return text;
        var codes = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes()) Decompose(rune.Value, codes);
        SortMarks(codes);
        var formed = new StringBuilder(text.Length);
        foreach (var code in _composes ? Compose(codes) : codes) formed.Append(new Rune(code));
        return formed.ToString();
    }

    private bool MayChange(string text)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', (char)(_leastActive - 1)) < 0) return false;
        foreach (var rune in text.EnumerateRunes())
            if (rune.Value >= _leastActive && _active.Contains(rune.Value)) return true;
        return false;
    }

    private void Decompose(int code, List<int> into)
    {
        var syllable = code - Syllable;
        if (syllable is >= 0 and < Syllables)
        {
            into.Add(Lead + syllable / (Vowels * Trails));
            into.Add(Vowel + syllable / Trails % Vowels);
            if (syllable % Trails != 0) into.Add(Trail + syllable % Trails);
        }
        else if (_canonical.TryGetValue(code, out var parts)
            || (_compatibility && _compatible.TryGetValue(code, out parts)))
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

    private static IEnumerable<(string Name, string Value)> Entries(string table) =>
        table.Split(_blanks, StringSplitOptions.RemoveEmptyEntries)
            .Select(entry => entry.Split(':'))
            .Select(sides => (sides[0], sides[1]));

    private static (int First, int Last) Range(string name)
    {
        var ends = name.Split('-');
        return (Hexadecimal(ends[0]), Hexadecimal(ends[^1]));
    }

    private static int Hexadecimal(string digits) =>
        int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
