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
    private readonly bool _keepsMatches;
    private readonly bool _keepsRest;
    private readonly SplitPattern _pattern;

    /// <summary>Every match, and everything between two matches, becomes a piece.</summary>
    /// <param name="pattern">
    /// A regular expression over code points as Hugging Face's library reads it. The three above have scanners of their
    /// own; others go through <see cref="Regex"/>, what does not mean the same there is refused, and a single match
    /// that takes ten seconds ends in a <see cref="RegexMatchTimeoutException"/> when text is encoded.
    /// </param>
    /// <exception cref="ArgumentException">The expression cannot be read.</exception>
    public SplitPreTokenizer(string pattern) : this(pattern, isLiteral: false, keepsMatches: true, keepsRest: true)
    {
    }

    private SplitPreTokenizer(string expression, bool isLiteral, bool keepsMatches, bool keepsRest)
    {
        ArgumentException.ThrowIfNullOrEmpty(expression);
        (_expression, _isLiteral, _keepsMatches, _keepsRest) = (expression, isLiteral, keepsMatches, keepsRest);
        _pattern = isLiteral ? SplitPattern.Literal(expression) : SplitPattern.For(expression);
    }

    internal override void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        if (_keepsMatches && _pattern.CoversEverything)
        {
            _pattern.Match(text, offset, pieces);
            return;
        }

        var matches = new List<Piece>();
        _pattern.Match(text, 0, matches);
        var done = 0;
        foreach (var match in matches)
        {
            AddRest(match.Start);
            if (_keepsMatches) pieces.Add(match with { Start = offset + match.Start });
            done = match.Start + match.Length;
        }

        AddRest(text.Length);

        void AddRest(int end)
        {
            if (_keepsRest && done < end) pieces.Add(new Piece(offset + done, end - done));
        }
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "Split");
        writer.WriteStartObject("pattern");
        writer.WriteString(_isLiteral ? "String" : "Regex", _expression);
        writer.WriteEndObject();
        writer.WriteString("behavior", _keepsMatches && _keepsRest ? "Isolated" : "Removed");
        writer.WriteBoolean("invert", !_keepsRest);
        writer.WriteEndObject();
    }

    internal static new SplitPreTokenizer Read(JsonPart part)
    {
        var pattern = part.Required("pattern");
        var literal = pattern.Optional("String");
        var expression = literal ?? pattern.Required("Regex");
        var behavior = part.Required("behavior");
        var removes = behavior.Text() switch
        {
            "Isolated" => false,
            "Removed" => true,
            _ => throw behavior.Unsupported("Isolated or Removed"),
        };
        var inverted = part.Flag("invert", otherwise: false);
        var (keepsMatches, keepsRest) = (!removes || inverted, !removes || !inverted);
        try
        {
            return new SplitPreTokenizer(expression.Text(), literal is not null, keepsMatches, keepsRest);
        }
        catch (ArgumentException error)
        {
            throw expression.Unsupported("a regular expression that means the same to .NET", error);
        }
    }
}
