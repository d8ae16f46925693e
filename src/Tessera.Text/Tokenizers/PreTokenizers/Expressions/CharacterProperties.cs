using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// The sets of characters that regular expressions name, as Oniguruma has them
/// (<see href="https://github.com/kkos/oniguruma/blob/master/doc/RE"/>): general categories, scripts, <c>\w</c> and its like, and the
/// classes of POSIX.
/// </summary>
internal static class CharacterProperties
{
    private static readonly string[] _longCategories =
    [
        "UppercaseLetter", "LowercaseLetter", "TitlecaseLetter", "ModifierLetter", "OtherLetter", "NonspacingMark", "SpacingMark",
        "EnclosingMark", "DecimalNumber", "LetterNumber", "OtherNumber", "SpaceSeparator", "LineSeparator", "ParagraphSeparator", "Control",
        "Format", "Surrogate", "PrivateUse", "ConnectorPunctuation", "DashPunctuation", "OpenPunctuation", "ClosePunctuation",
        "InitialPunctuation", "FinalPunctuation", "OtherPunctuation", "MathSymbol", "CurrencySymbol", "ModifierSymbol", "OtherSymbol",
        "Unassigned",
    ];

    private static readonly (string Letter, string Long)[] _groups =
    [
        ("L", "Letter"), ("M", "Mark"), ("N", "Number"), ("Z", "Separator"), ("C", "Other"), ("P", "Punctuation"), ("S", "Symbol"),
    ];

    private static readonly Lazy<CodePointSet[]> _categories = new(ReadCategories);
    private static readonly Lazy<Dictionary<string, CodePointSet>> _scripts = new(ReadScripts);
    private static readonly Lazy<(CodePointSet Cased, ILookup<int, int> ByFold)> _cases = new(ReadCases);
    private static readonly ConcurrentDictionary<string, CodePointSet?> _known = new(StringComparer.Ordinal);

    /// <summary>The two letters of each category, in the order of <see cref="UnicodeCategory"/>.</summary>
    public static IReadOnlyList<string> Categories { get; } =
    [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Pc", "Pd", "Ps", "Pe",
        "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Cn",
    ];

    /// <summary><c>\w</c>.</summary>
    public static CodePointSet Word => Find("word")!;

    /// <summary><c>\s</c>.</summary>
    public static CodePointSet Space => Find("space")!;

    /// <summary><c>\d</c>.</summary>
    public static CodePointSet Digit => Of(UnicodeCategory.DecimalDigitNumber);

    /// <summary><c>\h</c>.</summary>
    public static CodePointSet HexDigit => Find("xdigit")!;

    /// <summary>The characters of a category.</summary>
    public static CodePointSet Of(UnicodeCategory category) => _categories.Value[(int)category];

    /// <summary>The characters of a property, or null where the name is none.</summary>
    /// <param name="name">Case, blanks, <c>_</c> and <c>-</c> do not count.</param>
    public static CodePointSet? Find(string name)
    {
        var plain = Plain(name);
        return plain.Length > 64 ? null : _known.GetOrAdd(plain, Make);
    }

    /// <summary>The characters of a class of POSIX, <c>[:name:]</c>, or null where the name is none.</summary>
    public static CodePointSet? FindPosix(string name) => name is "word" or "punct" ? Find($"posix{name}") : Find(name);

    /// <summary>The set with the other cases of what is in it.</summary>
    public static CodePointSet IgnoringCase(CodePointSet set)
    {
        var (cased, byFold) = _cases.Value;
        var others = set.And(cased).Ranges.SelectMany(range => Enumerable.Range(range.Start, range.End - range.Start + 1))
            .SelectMany(code => byFold[Fold(code)]);
        return set.Or(CodePointSet.Of(others.Select(code => (code, code))));
    }

    private static CodePointSet? Make(string name) => name switch
    {
        "any" => CodePointSet.All,
        "ascii" => CodePointSet.Of(0, 0x7F),
        "assigned" => Of(UnicodeCategory.OtherNotAssigned).Complement,
        "alpha" or "alphabetic" => Union("L", "Nl").Or(CodePointSet.Parse(ScriptData.OtherAlphabetic)),
        "upper" or "uppercase" => Union("Lu").Or(CodePointSet.Parse(ScriptData.OtherUppercase)),
        "lower" or "lowercase" => Union("Ll").Or(CodePointSet.Parse(ScriptData.OtherLowercase)),
        "digit" => Digit,
        "alnum" => Find("alpha")!.Or(Digit),
        // Of Latin-1 a table of its own counts, which has superscripts and fractions in it.
        "word" => Find("posixword")!.Or(CodePointSet.Parse("B2 B3 B9 BC-BE")),
        "posixword" => Find("alpha")!.Or(Union("M", "Nd", "Pc")),
        "space" or "whitespace" => Union("Z").Or(CodePointSet.Of(9, 13)).Or(CodePointSet.Of(0x85, 0x85)),
        "blank" => Union("Zs").Or(CodePointSet.Of(9, 9)),
        "xdigit" => CodePointSet.Parse("30-39 41-46 61-66"),
        "cntrl" => Union("Cc"),
        "graph" => Find("space")!.Or(Union("Cc", "Cn", "Cs")).Complement,
        "print" => Find("graph")!.Or(Union("Zs")),
        "posixpunct" => Union("P", "S"),
        _ => Category(name) ?? _scripts.Value.GetValueOrDefault(name),
    };

    private static CodePointSet? Category(string name)
    {
        for (var i = 0; i < Categories.Count; i++)
            if (Plain(Categories[i]) == name || Plain(_longCategories[i]) == name) return _categories.Value[i];
        foreach (var (letter, longName) in _groups)
            if (Plain(letter) == name || Plain(longName) == name) return Union(letter);
        return name is "lc" or "casedletter" ? Union("Lu", "Ll", "Lt") : null;
    }

    /// <summary>The characters of all categories that begin so.</summary>
    private static CodePointSet Union(params string[] beginnings) => CodePointSet.Of(
        Categories.Select((name, index) => (name, index))
            .Where(category => beginnings.Any(start => category.name.StartsWith(start, StringComparison.Ordinal)))
            .SelectMany(category => _categories.Value[category.index].Ranges));

    private static CodePointSet[] ReadCategories()
    {
        var ranges = Categories.Select(_ => new List<(int, int)>()).ToArray();
        for (var code = 0; code <= 0x10FFFF;)
        {
            var (start, category) = (code, CharUnicodeInfo.GetUnicodeCategory(code));
            while (code <= 0x10FFFF && CharUnicodeInfo.GetUnicodeCategory(code) == category) code++;
            ranges[(int)category].Add((start, code - 1));
        }

        return [.. ranges.Select(CodePointSet.Of)];
    }

    private static Dictionary<string, CodePointSet> ReadScripts()
    {
        var scripts = new Dictionary<string, CodePointSet>(StringComparer.Ordinal);
        foreach (var script in ScriptData.Scripts.Split(';'))
        {
            var colon = script.IndexOf(':', StringComparison.Ordinal);
            var set = CodePointSet.Parse(script[(colon + 1)..]);
            foreach (var name in script[..colon].Split(',')) scripts[Plain(name)] = set;
        }

        return scripts;
    }

    private static (CodePointSet, ILookup<int, int>) ReadCases()
    {
        var codes = Union("L", "Nl", "So").Ranges.SelectMany(range => Enumerable.Range(range.Start, range.End - range.Start + 1));
        var byFold = codes.GroupBy(Fold).Where(same => same.Count() > 1).ToList();
        var cased = CodePointSet.Of(byFold.SelectMany(same => same).Select(code => (code, code)));
        return (cased, byFold.SelectMany(same => same.Select(code => (same.Key, code))).ToLookup(pair => pair.Key, pair => pair.code));
    }

    /// <summary>What a character is compared as where case does not count.</summary>
    private static int Fold(int code) => code switch
    {
        0x17F => 's', // the long s and the micro sign have no lower case of their own
        0xB5 => 0x3BC,
        >= 0xD800 and <= 0xDFFF => code,
        _ => Rune.ToLowerInvariant(Rune.ToUpperInvariant(new Rune(code))).Value,
    };

    private static string Plain(string name)
    {
        var plain = new StringBuilder(name.Length);
        foreach (var character in name)
            if (character is not (' ' or '_' or '-') && !char.IsWhiteSpace(character)) plain.Append(char.ToLowerInvariant(character));
        return plain.ToString();
    }
}
