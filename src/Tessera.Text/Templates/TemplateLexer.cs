using System.Globalization;
using System.Numerics;
using System.Text;

namespace Tessera.Text.Templates;

internal enum TokenKind
{
    /// <summary>Text between tags.</summary>
    Text,

    /// <summary><c>{{</c>, <c>}}</c>, <c>{%</c> or <c>%}</c>.</summary>
    Tag,

    Name,
    Number,
    String,

    /// <summary>An operator or a bracket.</summary>
    Sign,
    End,
}

/// <summary>A piece of a template.</summary>
/// <param name="Value">A number's or string's value.</param>
internal readonly record struct TemplateToken(TokenKind Kind, string Text, int Line, object? Value = null);

/// <summary>
/// Cuts a template into text and tags, with <c>trim_blocks</c> and <c>lstrip_blocks</c> on, as chat templates are written
/// for: a line break right after a block or comment goes, and so do blanks before one at the start of a line; <c>-</c> at a
/// tag's edge eats all white space there, <c>+</c> none.
/// </summary>
internal sealed class TemplateLexer
{
    private static readonly string[] s_signs =
    [
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "|",
    ];

    private readonly string _source;
    private readonly List<TemplateToken> _tokens = [];
    private int _place;
    private int _line = 1;
    private bool _atLineStart = true;

    private TemplateLexer(string source) => _source = source;

    public static List<TemplateToken> Cut(string source)
    {
        source = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        var lexer = new TemplateLexer(source.EndsWith('\n') ? source[..^1] : source);
        lexer.Run();
        return lexer._tokens;
    }

    private void Run()
    {
        while (_place < _source.Length)
        {
            var tag = NextTag(_place);
            if (tag < 0)
            {
                AddText(_source[_place..]);
                break;
            }

            var sign = tag + 2 < _source.Length ? _source[tag + 2] : ' ';
            AddText(Before(tag, sign));
            Advance(tag);
            var kind = _source[tag + 1];
            Advance(sign is '-' || (sign is '+' && kind != '{') ? tag + 3 : tag + 2);
            if (kind == '#') Comment();
            else if (kind == '%' && IsRaw()) Raw();
            else Tag(kind == '{' ? "}}" : "%}");
        }

        Add(TokenKind.End, "");
    }

    private int NextTag(int from)
    {
        for (var i = _source.IndexOf('{', from); i >= 0 && i + 1 < _source.Length; i = _source.IndexOf('{', i + 1))
            if (_source[i + 1] is '{' or '%' or '#') return i;
        return -1;
    }

    /// <summary>The text before a tag, less the blanks that the tag takes.</summary>
    private string Before(int tag, char sign)
    {
        var text = _source[_place..tag];
        if (sign == '-') return text.TrimEnd();
        if (sign == '+' || _source[tag + 1] == '{') return text;
        var line = text.LastIndexOf('\n') + 1;
        return (line > 0 || _atLineStart) && text.AsSpan(line).IsWhiteSpace() ? text[..line] : text;
    }

    private void AddText(string text)
    {
        if (text.Length > 0) Add(TokenKind.Text, text);
    }

    private void Comment()
    {
        var end = _source.IndexOf("#}", _place, StringComparison.Ordinal);
        if (end < 0) throw Error("the comment has no end, #}");
        Advance(end);
        Close(_source[end - 1], end + 2);
    }

    private bool IsRaw()
    {
        var i = SkipBlanks(_place);
        return string.CompareOrdinal(_source, i, "raw", 0, 3) == 0 && SkipBlanks(i + 3) is var end
            && (Has(end, "%}") || Has(end, "-%}"));
    }

    private void Raw()
    {
        var begin = _source.IndexOf("%}", _place, StringComparison.Ordinal);
        var start = begin + 2;
        if (_source[begin - 1] == '-') start = SkipBlanks(start);
        Advance(start);
        for (
            var tag = _source.IndexOf("{%", _place, StringComparison.Ordinal);
            tag >= 0;
            tag = _source.IndexOf("{%", tag + 2, StringComparison.Ordinal))
        {
            var sign = tag + 2 < _source.Length ? _source[tag + 2] : ' ';
            var name = SkipBlanks(sign is '-' or '+' ? tag + 3 : tag + 2);
            if (!Has(name, "endraw")) continue;
            var end = SkipBlanks(name + 6);
            var close = end < _source.Length && _source[end] is '-' or '+' ? end + 1 : end;
            if (!Has(close, "%}")) continue;
            AddText(Before(tag, sign));
            Advance(close);
            Close(close > end ? _source[end] : ' ', close + 2);
            return;
        }

        throw Error("the raw block has no end, {% endraw %}");
    }

    /// <summary>The end of a block or comment, after which a line break goes.</summary>
    private void Close(char sign, int end)
    {
        if (sign == '-') end = SkipBlanks(end);
        else if (sign != '+' && end < _source.Length && _source[end] == '\n') end++;
        Advance(end);
    }

    private void Tag(string close)
    {
        Add(TokenKind.Tag, close == "}}" ? "{{" : "{%");
        var depth = 0;
        while (true)
        {
            Advance(SkipBlanks(_place));
            if (_place == _source.Length) throw Error($"the tag has no end, {close}");
            if (depth == 0 && (Has(_place, close) || Has(_place, "-" + close) || (close == "%}" && Has(_place, "+%}"))))
            {
                var sign = _source[_place];
                Add(TokenKind.Tag, close);
                var end = _place + (sign is '-' or '+' ? 3 : 2);
                if (close == "%}") Close(sign, end);
                else Advance(sign == '-' ? SkipBlanks(end) : end);
                return;
            }

            Piece(ref depth);
        }
    }

    private void Piece(ref int depth)
    {
        var letter = _source[_place];
        if (letter is '\'' or '"')
        {
            Quoted(letter);
        }
        else if (char.IsAsciiDigit(letter))
        {
            Digits();
        }
        else if (char.IsLetter(letter) || letter == '_')
        {
            var end = _place;
            while (end < _source.Length && (char.IsLetterOrDigit(_source[end]) || _source[end] == '_')) end++;
            Add(TokenKind.Name, _source[_place..end]);
            Advance(end);
        }
        else
        {
            var sign = Array.Find(s_signs, sign => Has(_place, sign)) ?? throw Error($"unexpected character '{letter}'");
            if (sign is "(" or "[" or "{") depth++;
            else if (sign is ")" or "]" or "}") depth--;
            if (depth < 0) throw Error($"unexpected '{sign}'");
            Add(TokenKind.Sign, sign);
            Advance(_place + sign.Length);
        }
    }

    private void Digits()
    {
        if (_source[_place] == '0' && _place + 1 < _source.Length && char.ToLowerInvariant(_source[_place + 1]) is 'x' or 'o' or 'b')
        {
            AddNumber(Run(_place + 2, char.IsAsciiHexDigit), real: false);
            return;
        }

        var end = Run(_place, char.IsAsciiDigit);
        var real = false;
        if (end + 1 < _source.Length && _source[end] == '.' && char.IsAsciiDigit(_source[end + 1]))
        {
            real = true;
            end = Run(end + 1, char.IsAsciiDigit);
        }

        if (end < _source.Length && _source[end] is 'e' or 'E')
        {
            var digits = end + 1 < _source.Length && _source[end + 1] is '+' or '-' ? end + 2 : end + 1;
            if (digits < _source.Length && char.IsAsciiDigit(_source[digits])) (real, end) = (true, Run(digits, char.IsAsciiDigit));
        }

        AddNumber(end, real);
    }

    /// <summary>Where digits end that begin at a place; underscores may stand between them.</summary>
    private int Run(int place, Func<char, bool> isDigit)
    {
        while (place < _source.Length && (isDigit(_source[place]) || _source[place] == '_')) place++;
        return place;
    }

    private void AddNumber(int end, bool real)
    {
        if (end - _place > 1000) throw Error("a number of more than 1000 digits");
        var text = _source[_place..end];
        var value = real ? (object?)Numbers.Real(text) : Numbers.Whole(text, 0);
        Add(TokenKind.Number, text, value ?? throw Error($"'{text}' is no number"));
        Advance(end);
    }

    private void Quoted(char quote)
    {
        var text = new StringBuilder();
        var i = _place + 1;
        for (; i < _source.Length && _source[i] != quote; i++)
        {
            if (_source[i] != '\\' || i + 1 == _source.Length) text.Append(_source[i]);
            else i = Escape(i + 1, text);
        }

        if (i >= _source.Length) throw Error($"the string has no end, {quote}");
        Add(TokenKind.String, _source[_place..(i + 1)], text.ToString());
        Advance(i + 1);
    }

    /// <summary>An escape of Python's; returns the place of its last character.</summary>
    private int Escape(int i, StringBuilder text)
    {
        const string Letters = "abfnrtv\\'\"";
        const string Meanings = "\a\b\f\n\r\t\v\\'\"";
        if (Letters.IndexOf(_source[i], StringComparison.Ordinal) is var known and >= 0)
        {
            text.Append(Meanings[known]);
            return i;
        }

        if (_source[i] is >= '0' and <= '7') return Octal(i, text);
        if (_source[i] == 'N' && Has(i + 1, "{"))
            throw Error("a character by its Unicode name, \\N{…}; allowed: \\x, \\u, \\U or itself");
        var digits = _source[i] switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0 && i + digits < _source.Length
            && int.TryParse(_source.AsSpan(i + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
            && (Rune.IsValid(code) || code is > 0xD7FF and < 0xE000))
        {
            if (Rune.IsValid(code)) text.Append(new Rune(code).ToString());
            else text.Append((char)code);
            return i + digits;
        }

        if (_source[i] != '\n') text.Append('\\').Append(_source[i]);
        return i;
    }

    /// <summary>A character by up to three octal digits; returns the place of the last one.</summary>
    private int Octal(int i, StringBuilder text)
    {
        var (code, last) = (0, i);
        for (; last < _source.Length && last < i + 3 && _source[last] is >= '0' and <= '7'; last++) code = (code * 8) + _source[last] - '0';
        text.Append((char)code);
        return last - 1;
    }

    private int SkipBlanks(int from)
    {
        while (from < _source.Length && char.IsWhiteSpace(_source[from])) from++;
        return from;
    }

    private bool Has(int place, string text) => string.CompareOrdinal(_source, place, text, 0, text.Length) == 0;

    private void Advance(int to)
    {
        for (; _place < to; _place++)
            if (_source[_place] == '\n') _line++;
        _atLineStart = _place == 0 || _source[_place - 1] == '\n';
    }

    private void Add(TokenKind kind, string text, object? value = null) => _tokens.Add(new TemplateToken(kind, text, _line, value));

    private TemplateException Error(string message) => new(TemplateErrorKind.SyntaxError, message, _line);
}
