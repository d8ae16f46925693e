using System.Globalization;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>A part of an expression: syntax that .NET reads alike, or a set of which one character is to match.</summary>
/// <param name="Syntax">The syntax, where there is no set.</param>
/// <param name="Set">The set.</param>
internal readonly record struct ExpressionPart(string Syntax, CodePointSet? Set = null);

/// <summary>
/// Reads a regular expression as Oniguruma does, whose syntax (Ruby's) Hugging Face's library has: what differs from .NET, such as
/// possessive quantifiers, <c>^</c> at every line, <c>\h</c> and classes with <c>&amp;&amp;</c>, is written in another way, and every
/// character and class becomes a set of code points. <see href="https://github.com/kkos/oniguruma/blob/master/doc/RE"/>.
/// </summary>
/// <param name="expression">The expression.</param>
internal sealed class OnigurumaReader(string expression)
{
    private const int DeepestGroup = 100, MostRepeats = 100_000;

    private readonly List<ExpressionPart> _parts = [];
    private int _at, _depth;
    private bool _ignoresCase, _dotTakesLineEnds;

    /// <summary>The parts, one after the other.</summary>
    /// <exception cref="ArgumentException">The expression is no expression, or holds what is not supported.</exception>
    public IReadOnlyList<ExpressionPart> Read()
    {
        ReadAlternatives();
        return _at == expression.Length ? _parts : throw Unsupported("an unmatched ')'");
    }

    private char Now => _at < expression.Length ? expression[_at] : '\0';

    private void ReadAlternatives()
    {
        var (ignoresCase, dotTakesLineEnds, opened) = (_ignoresCase, _dotTakesLineEnds, 0);
        if (++_depth > DeepestGroup) throw Unsupported($"more than {DeepestGroup} groups in each other");
        while (_at < expression.Length && Now != ')')
        {
            if (Takes("|"))
            {
                Add("|");
                continue;
            }

            var start = _parts.Count;
            if (Takes("(")) opened += ReadGroup();
            else ReadAtom();
            ReadQuantifiers(start);
        }

        for (; opened > 0; opened--) Add(")");
        (_ignoresCase, _dotTakesLineEnds) = (ignoresCase, dotTakesLineEnds);
        _depth--;
    }

    /// <summary>Reads what follows an opening parenthesis.</summary>
    /// <returns>How many groups it opens that end where the one around it does: options without a group of their own.</returns>
    private int ReadGroup()
    {
        foreach (var same in (string[])["?:", "?=", "?!", "?<=", "?<!", "?>"])
        {
            if (!Takes(same)) continue;
            ReadRest($"({same}");
            return 0;
        }

        if (Takes("?#"))
        {
            while (Now is not ')' and not '\0') _at++;
            Require(')');
            return 0;
        }

        if (Takes("?<") || Takes("?'"))
        {
            SkipTo(expression[_at - 1] == '<' ? '>' : '\'');
            ReadRest("(?:");
            return 0;
        }

        if (Now != '?')
        {
            ReadRest("(?:");
            return 0;
        }

        _at++;
        return ReadOptions();
    }

    private void ReadRest(string opening)
    {
        Add(opening);
        ReadAlternatives();
        Require(')');
        Add(")");
    }

    /// <summary>Reads <c>i-m:…)</c> or, of which the group around is the rest, <c>i-m)</c>.</summary>
    private int ReadOptions()
    {
        var (before, isOn) = ((_ignoresCase, _dotTakesLineEnds), true);
        for (; Now is not (':' or ')'); _at++)
        {
            if (Now == '-') isOn = false;
            else if (Now == 'i') _ignoresCase = isOn;
            else if (Now == 'm') _dotTakesLineEnds = isOn;
            else throw Unsupported(_at < expression.Length ? $"(?{Now}" : "a group without an end");
        }

        var isAlone = Now == ')';
        _at++;
        if (isAlone)
        {
            Add("(?:");
            return 1;
        }

        ReadRest("(?:");
        (_ignoresCase, _dotTakesLineEnds) = before;
        return 0;
    }

    private void ReadAtom()
    {
        if (Takes("["))
        {
            Add(new CharacterClassReader(this, _ignoresCase).Read());
        }
        else if (Takes("\\"))
        {
            ReadEscape();
        }
        else if (Takes("."))
        {
            Add(_dotTakesLineEnds ? CodePointSet.All : CodePointSet.Of('\n', '\n').Complement);
        }
        else if (Takes("^"))
        {
            Add(@"(?:\A|(?<=\n)(?!\z))");
        }
        else if (Takes("$"))
        {
            Add(@"(?:(?=\n)|(?<!\n)\z)");
        }
        else if (Now is '*' or '+' or '?')
        {
            throw Unsupported($"'{Now}' after nothing");
        }
        else
        {
            AddCharacter(NextRune());
        }
    }

    private void ReadEscape()
    {
        if (ReadSetEscape() is { } set)
        {
            Add(set);
            return;
        }

        switch (Now)
        {
            case 'b' or 'B':
                AddWordBoundary(isOne: Now == 'b');
                _at++;
                break;
            case 'A' or 'z' or 'Z':
                Add($"\\{Now}");
                _at++;
                break;
            case 'R':
                Add(@"(?>\r\n|[\n-\r\u0085\u2028\u2029])");
                _at++;
                break;
            case 'N' or 'O':
                Add(Now == 'O' ? CodePointSet.All : CodePointSet.Of('\n', '\n').Complement);
                _at++;
                break;
            default:
                AddCharacter(ReadCharacterEscape());
                break;
        }
    }

    private void AddWordBoundary(bool isOne)
    {
        string[] syntax = isOne ? ["(?:(?<=", ")(?!", ")|(?<!", ")(?=", "))"] : ["(?:(?<=", ")(?=", ")|(?<!", ")(?!", "))"];
        foreach (var opening in syntax[..^1])
        {
            Add(opening);
            Add(CharacterProperties.Word);
        }

        Add(syntax[^1]);
    }

    /// <summary>The set that an escape names, such as <c>\p{Han}</c>, after its backslash; null where it names none.</summary>
    /// <param name="inClass">Whether it stands in a class, where <c>\w</c> is <c>[:word:]</c>.</param>
    internal CodePointSet? ReadSetEscape(bool inClass = false)
    {
        if (Now is 'p' or 'P') return ReadProperty();
        var set = char.ToLowerInvariant(Now) switch
        {
            'w' => inClass ? CharacterProperties.FindPosix("word") : CharacterProperties.Word,
            's' => CharacterProperties.Space,
            'd' => CharacterProperties.Digit,
            'h' => CharacterProperties.HexDigit,
            _ => null,
        };
        if (set is null) return null;
        return char.IsAsciiLetterUpper(expression[_at++]) ? set.Complement : set;
    }

    /// <summary>The character that an escape stands for, after its backslash.</summary>
    internal Rune ReadCharacterEscape()
    {
        if (_at == expression.Length) throw Unsupported("a backslash at the end");
        if (!char.IsAsciiLetterOrDigit(Now)) return NextRune();
        var letter = expression[_at++];
        switch (letter)
        {
            case 'x' when Takes("{"):
                var start = _at;
                SkipTo('}');
                return Code(expression[start..(_at - 1)]);
            case 'x' or 'u':
                var digits = letter == 'x' ? 2 : 4;
                if (_at + digits > expression.Length) throw Unsupported($"\\{letter}");
                _at += digits;
                return Code(expression[(_at - digits).._at]);
            default:
                var at = "tnrfvae".IndexOf(letter, StringComparison.Ordinal);
                return at >= 0 ? new Rune("\t\n\r\f\v\a\e"[at]) : throw Unsupported($"\\{letter}");
        }
    }

    /// <summary>Takes a text if it comes next.</summary>
    internal bool Takes(string text)
    {
        if (string.CompareOrdinal(expression, _at, text, 0, text.Length) != 0) return false;
        _at += text.Length;
        return true;
    }

    /// <summary>Whether a text comes next.</summary>
    internal bool Comes(string text) => string.CompareOrdinal(expression, _at, text, 0, text.Length) == 0;

    /// <summary>Whether a text comes later.</summary>
    internal bool ComesLater(char character) => expression.IndexOf(character, Math.Min(_at + 1, expression.Length)) >= 0;

    /// <summary>The next character.</summary>
    internal Rune NextRune()
    {
        if (!Rune.TryGetRuneAt(expression, _at, out var rune)) throw Unsupported("half of a surrogate pair");
        _at += rune.Utf16SequenceLength;
        return rune;
    }

    /// <summary>Goes back by one <c>char</c>.</summary>
    internal void Back() => _at--;

    /// <summary>Whether a backslash comes next that names a set.</summary>
    internal bool NamesSet() => _at + 1 < expression.Length && "pPwWsSdDhH".Contains(expression[_at + 1], StringComparison.Ordinal);

    /// <summary>Takes <c>[:name:]</c> if it comes next, and gives the name; else null.</summary>
    internal string? PosixName()
    {
        var end = expression.IndexOf(":]", _at + 2, StringComparison.Ordinal);
        if (end < 0) return null;
        var name = expression[(_at + 2)..end];
        if (!name.TrimStart('^').All(char.IsAsciiLetter)) return null;
        _at = end + 2;
        return name;
    }

    /// <summary>Whether there is no more.</summary>
    internal bool IsAtEnd => _at == expression.Length;

    /// <summary>The error that something is not supported.</summary>
    internal ArgumentException Unsupported(string construct) =>
        new($"'{construct}' in the regular expression '{expression}' is not supported.");

    private CodePointSet ReadProperty()
    {
        var isNegated = expression[_at++] == 'P';
        if (!Takes("{")) throw Unsupported("\\p without a name in braces");
        isNegated ^= Takes("^");
        var start = _at;
        SkipTo('}');
        var name = expression[start..(_at - 1)];
        var set = CharacterProperties.Find(name) ?? throw Unsupported($"\\p{{{name}}}");
        return isNegated ? set.Complement : set;
    }

    private void ReadQuantifiers(int start)
    {
        for (var isSecond = false; ReadQuantifier() is { } quantifier; isSecond = true)
        {
            if (_parts.Count == start) throw Unsupported($"'{quantifier}' after nothing");
            // Oniguruma has neither lazy nor possessive forms of {n} and no possessive ones of other intervals.
            var isInterval = quantifier[0] == '{';
            var isLazy = !(isInterval && !quantifier.Contains(',', StringComparison.Ordinal)) && Takes("?");
            var isPossessive = !isLazy && !isInterval && Takes("+");
            if (isSecond || _parts.Count > start + 1) Wrap("(?:", start);
            Add(isLazy ? quantifier + "?" : quantifier);
            if (isPossessive) Wrap("(?>", start);
        }
    }

    private string? ReadQuantifier()
    {
        if (Now is '*' or '+' or '?') return expression[_at++].ToString();
        if (Now != '{') return null;
        var end = expression.IndexOf('}', _at);
        if (end < 0) return null;
        var ends = expression[(_at + 1)..end].Split(',');
        if (ends.Length > 2 || ends.Any(number => !number.All(char.IsAsciiDigit)) || ends.All(number => number.Length == 0)) return null;
        var (least, most) = (Count(ends[0], 0), Count(ends[^1], MostRepeats));
        if (least > most) throw Unsupported(expression[_at..(end + 1)]);
        _at = end + 1;
        return ends.Length == 1 ? $"{{{least}}}" : ends[1].Length == 0 ? $"{{{least},}}" : $"{{{least},{most}}}";

        int Count(string digits, int otherwise) => digits.Length == 0 ? otherwise
            : int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= MostRepeats ? count
            : throw Unsupported($"{{{digits}}}");
    }

    private void Wrap(string opening, int start)
    {
        _parts.Insert(start, new ExpressionPart(opening));
        Add(")");
    }

    private void AddCharacter(Rune rune)
    {
        var set = CodePointSet.Of(rune.Value, rune.Value);
        Add(_ignoresCase ? CharacterProperties.IgnoringCase(set) : set);
    }

    private void Add(string syntax) => _parts.Add(new ExpressionPart(syntax));

    private void Add(CodePointSet set) => _parts.Add(new ExpressionPart("", set));

    private void Require(char character)
    {
        if (Now != character || IsAtEnd) throw Unsupported("a group without an end");
        _at++;
    }

    private void SkipTo(char end)
    {
        var at = expression.IndexOf(end, _at);
        if (at < 0) throw Unsupported($"a name without '{end}'");
        _at = at + 1;
    }

    private Rune Code(string digits) =>
        int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) && Rune.IsValid(code)
            ? new Rune(code)
            : throw Unsupported($"the code '{digits}'");
}
