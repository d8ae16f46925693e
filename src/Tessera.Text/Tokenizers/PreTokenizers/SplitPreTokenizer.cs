using System.Text.Json;
using System.Text.RegularExpressions;

namespace Tessera.Text.Tokenizers;

/// <summary>Cuts text by a regular expression: each match is a piece, and so is what lies between matches.</summary>
public sealed class SplitPreTokenizer : PreTokenizer
{
    /// <summary>The pattern of GPT-2.</summary>
    public const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>
    /// The pattern of Llama 3: punctuation goes with the word after it, numbers are cut every three digits.
    /// </summary>
    public const string Llama3Pattern =
        LettersOfLlama3 + @"\p{N}{1,3}" + RestOfLlama3;

    /// <summary>The pattern of Qwen 2: that of Llama 3, but each digit is a piece.</summary>
    public const string Qwen2Pattern =
        LettersOfLlama3 + @"\p{N}" + RestOfLlama3;

    private const string LettersOfLlama3 = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|";
    private const string RestOfLlama3 = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private readonly string _expression;
    private readonly bool _isLiteral;
    private readonly SplitBehavior _behavior;
    private readonly bool _inverted;
    private readonly SplitPattern _pattern;

    /// <summary>Every match, and everything between two matches, becomes a piece.</summary>
    /// <param name="pattern">
    /// A regular expression over code points as Hugging Face's library reads it. The three above have scanners of their
    /// own; others go through <see cref="Regex"/>, what Oniguruma has beyond that, such as back references, is refused, and a single
    /// match that takes ten seconds ends in a <see cref="RegexMatchTimeoutException"/> when text is encoded.
    /// </param>
    /// <exception cref="ArgumentException">The expression cannot be read.</exception>
    public SplitPreTokenizer(string pattern) : this(pattern, isLiteral: false, SplitBehavior.Isolated, inverted: false)
    {
    }

    private SplitPreTokenizer(string expression, bool isLiteral, SplitBehavior behavior, bool inverted)
    {
        ArgumentException.ThrowIfNullOrEmpty(expression);
        (_expression, _isLiteral, _behavior, _inverted) = (expression, isLiteral, behavior, inverted);
        _pattern = isLiteral ? SplitPattern.Literal(expression) : SplitPattern.For(expression);
    }

    internal override IReadOnlyList<string>? Patterns => _isLiteral || !Isolates ? null : [_expression];

    /// <summary>Whether matches are pieces: where they cover everything, to drop what lies between is the same.</summary>
    private bool Isolates =>
        _behavior == SplitBehavior.Isolated || (_behavior == SplitBehavior.Removed && _inverted && _pattern.CoversEverything);

    internal override void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        var isolates = _behavior == SplitBehavior.Isolated || (_behavior == SplitBehavior.Removed && _inverted);
        if (isolates && _pattern.CoversEverything)
        {
            _pattern.Match(text, offset, pieces);
            return;
        }

        var matches = new List<Piece>();
        _pattern.Match(text, 0, matches);
        Splitting.Add(text.Length, matches, _behavior, _inverted, offset, pieces);
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "Split");
        writer.WriteStartObject("pattern");
        writer.WriteString(_isLiteral ? "String" : "Regex", _expression);
        writer.WriteEndObject();
        Splitting.Write(writer, _behavior);
        writer.WriteBoolean("invert", _inverted);
        writer.WriteEndObject();
    }

    internal static new SplitPreTokenizer Read(JsonPart part)
    {
        var pattern = part.Required("pattern");
        var literal = pattern.Optional("String");
        var expression = literal ?? pattern.Required("Regex");
        var behavior = Splitting.Read(part.Required("behavior"));
        var inverted = part.Flag("invert", otherwise: false);
        try
        {
            return new SplitPreTokenizer(expression.Text(), literal is not null, behavior, inverted);
        }
        catch (ArgumentException error)
        {
            throw expression.Unsupported("a regular expression without back references, calls and conditions", error);
        }
    }
}
