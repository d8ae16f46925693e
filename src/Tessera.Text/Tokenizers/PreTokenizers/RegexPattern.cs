using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// A pattern run by <see cref="Regex"/>, which sees UTF-16. Characters above U+FFFF are replaced by surrogates that stand alone, which no
/// well formed text has: one for each way in which the expression's sets can tell such characters apart.
/// </summary>
internal sealed class RegexPattern : SplitPattern
{
    private const int FirstAbove = 0x10000, FirstStandIn = 0xD800, StandIns = 0x800;

    private readonly Regex _regex;
    private readonly int[] _starts;
    private readonly char[] _standIns;

    /// <param name="expression">An expression in the syntax of Oniguruma.</param>
    /// <exception cref="ArgumentException">It is no expression, or holds what is not supported.</exception>
    public RegexPattern(string expression)
    {
        var parts = new OnigurumaReader(expression).Read();
        CodePointSet[] sets = [.. parts.Select(part => part.Set).OfType<CodePointSet>().Distinct()];
        // Where all the sets go on as before, characters cannot be told apart.
        _starts = [.. sets.SelectMany(set => set.Ranges).SelectMany(range => (int[])[range.Start, range.End + 1])
            .Append(FirstAbove).Where(code => code is >= FirstAbove and <= 0x10FFFF).Distinct().Order()];
        var kinds = new Dictionary<string, char>(StringComparer.Ordinal);
        _standIns = [.. _starts.Select(start =>
        {
            var kind = string.Create(sets.Length, sets, (bits, all) =>
            {
                for (var i = 0; i < bits.Length; i++) bits[i] = all[i].Contains(start) ? '1' : '0';
            });
            ref var standIn = ref CollectionsMarshal.GetValueRefOrAddDefault(kinds, kind, out var isKnown);
            if (!isKnown) standIn = (char)(FirstStandIn + kinds.Count - 1);
            return standIn;
        })];
        if (kinds.Count > StandIns) throw new ArgumentException($"the regular expression '{expression}' has too many sets of characters.");

        var written = new Dictionary<CodePointSet, string>(sets.Length);
        for (var i = 0; i < sets.Length; i++)
            written[sets[i]] = Written(sets[i], kinds.Where(kind => kind.Key[i] == '1').Select(kind => kind.Value));
        var syntax = string.Concat(parts.Select(part => part.Set is { } set ? written[set] : part.Syntax));
        // A file may come with an expression that takes for ever; one match never needs this long.
        _regex = new Regex(syntax, RegexOptions.Compiled | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(10));
    }

    public override bool CoversEverything => false;

    public override void Match(ReadOnlySpan<char> text, int offset, List<Piece> matches)
    {
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
        {
            MatchRunes(text, offset, matches);
            return;
        }

        var last = -1;
        foreach (var match in _regex.EnumerateMatches(text))
        {
            if (Counts(match, ref last)) matches.Add(new Piece(offset + match.Index, match.Length));
        }
    }

    /// <summary>Whether a match counts: an empty one does not right after another.</summary>
    private static bool Counts(ValueMatch match, ref int last)
    {
        if (match.Length == 0 && match.Index == last) return false;
        last = match.Index + match.Length;
        return true;
    }

    private void MatchRunes(ReadOnlySpan<char> text, int offset, List<Piece> matches)
    {
        var flat = new StringBuilder(text.Length);
        var starts = new List<int>(text.Length + 1);
        var index = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            flat.Append(rune.IsBmp ? (char)rune.Value : StandIn(rune.Value));
            starts.Add(index);
            index += rune.Utf16SequenceLength;
        }

        starts.Add(index);
        var last = -1;
        foreach (var match in _regex.EnumerateMatches(flat.ToString()))
        {
            var start = starts[match.Index];
            if (Counts(match, ref last)) matches.Add(new Piece(offset + start, starts[match.Index + match.Length] - start));
        }
    }

    private char StandIn(int code)
    {
        var at = Array.BinarySearch(_starts, code);
        return _standIns[at >= 0 ? at : ~at - 1];
    }

    /// <summary>
    /// A set in .NET's syntax: whole categories by their names, whatever is left by its ranges, characters above U+FFFF by what stands for
    /// them.
    /// </summary>
    private static string Written(CodePointSet set, IEnumerable<char> standIns)
    {
        var plane = set.And(CodePointSet.Parse("0-D7FF E000-FFFF"));
        var written = new StringBuilder("[");
        var rest = plane;
        for (var category = 0; category < CharacterProperties.Categories.Count && rest.Ranges.Count > 0; category++)
        {
            if (category == (int)UnicodeCategory.Surrogate) continue;
            var all = CharacterProperties.Of((UnicodeCategory)category).And(CodePointSet.Of(0, 0xFFFF));
            // A few characters are read faster as they are.
            if (all.Ranges.Count < 3 || !plane.Contains(all)) continue;
            written.Append(CultureInfo.InvariantCulture, $@"\p{{{CharacterProperties.Categories[category]}}}");
            rest = rest.Except(all);
        }

        foreach (var (start, end) in rest.Or(CodePointSet.Of(standIns.Select(character => ((int)character, (int)character)))).Ranges)
        {
            written.Append(CultureInfo.InvariantCulture, $@"\u{start:X4}");
            if (end > start) written.Append(CultureInfo.InvariantCulture, $@"-\u{end:X4}");
        }

        // A set without characters never matches.
        return written.Length == 1 ? "(?!)" : written.Append(']').ToString();
    }
}
