namespace Tessera.Text.Tokenizers;

/// <summary>
/// A regular expression over code points that cuts text, as Oniguruma reads it, which Hugging Face's library runs.
/// </summary>
internal abstract class SplitPattern
{
    /// <summary>GPT-2's pattern.</summary>
    public static SplitPattern Gpt2 { get; } = new Gpt2Pattern();

    /// <summary>Whether matches leave nothing between them, whatever the text.</summary>
    public virtual bool CoversEverything => true;

    /// <summary>Adds the matches in a well formed text, from left to right. An empty one, which cuts too, does not follow another at
    /// once.</summary>
    /// <param name="text">The text to look in.</param>
    /// <param name="offset">What is added to every <see cref="Piece.Start"/>.</param>
    /// <param name="matches">Where the matches go.</param>
    public abstract void Match(ReadOnlySpan<char> text, int offset, List<Piece> matches);

    /// <summary>The scanner of a known pattern, or a general one.</summary>
    /// <exception cref="ArgumentException">
    /// The expression cannot be read.
    /// </exception>
    public static SplitPattern For(string expression) => expression switch
    {
        SplitPreTokenizer.Gpt2Pattern => Gpt2,
        SplitPreTokenizer.Llama3Pattern => new Llama3Pattern(digits: 3),
        SplitPreTokenizer.Qwen2Pattern => new Llama3Pattern(digits: 1),
        _ => new RegexPattern(expression),
    };

    /// <summary>A pattern that is found as it stands.</summary>
    public static SplitPattern Literal(string text) => new LiteralPattern(text);

    /// <summary>
    /// The end of what <c>\s+(?!\S)|\s+</c> matches: white space to the end of the text, or all but the last blank
    /// before a word, which goes with the word, or a single blank.
    /// </summary>
    private protected static int EndOfSpace(ReadOnlySpan<char> text, int start)
    {
        var end = Characters.EndOfRun(text, start, CharacterKind.Space);
        return end == text.Length || end - start == 1 ? end : end - 1;
    }
}

/// <summary>A text that is found as it stands, from left to right.</summary>
/// <param name="sought">The text; not empty.</param>
internal sealed class LiteralPattern(string sought) : SplitPattern
{
    public override bool CoversEverything => false;

    public override void Match(ReadOnlySpan<char> text, int offset, List<Piece> matches)
    {
        for (var start = 0; text[start..].IndexOf(sought, StringComparison.Ordinal) is var found and >= 0; start += found + sought.Length)
            matches.Add(new Piece(offset + start + found, sought.Length));
    }
}

/// <summary><see cref="SplitPreTokenizer.Gpt2Pattern"/>, by hand.</summary>
internal sealed class Gpt2Pattern : SplitPattern
{
    public override void Match(ReadOnlySpan<char> text, int offset, List<Piece> matches)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = End(text, start);
            matches.Add(new Piece(offset + start, end - start));
            start = end;
        }
    }

    private static int End(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && Contraction(text[(start + 1)..]) is var length and > 0) return start + 1 + length;
        var from = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        var kind = Characters.KindAt(text, from, out _);
        return kind == CharacterKind.Space ? EndOfSpace(text, start) : Characters.EndOfRun(text, from, kind);
    }

    private static int Contraction(ReadOnlySpan<char> rest) => rest switch
    {
        ['s' or 't' or 'm' or 'd', ..] => 1,
        ['r' or 'v', 'e', ..] or ['l', 'l', ..] => 2,
        _ => 0,
    };
}

/// <summary><see cref="SplitPreTokenizer.Llama3Pattern"/> with any number of digits, by hand.</summary>
/// <param name="digits">How many digits, at most, are one match; at least 1.</param>
internal sealed class Llama3Pattern(int digits) : SplitPattern
{
    public override void Match(ReadOnlySpan<char> text, int offset, List<Piece> matches)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = End(text, start);
            matches.Add(new Piece(offset + start, end - start));
            start = end;
        }
    }

    private int End(ReadOnlySpan<char> text, int start)
    {
        var first = text[start];
        if (first == '\'' && Contraction(text[(start + 1)..]) is var length and > 0) return start + 1 + length;

        var kind = Characters.KindAt(text, start, out var width);
        if (kind == CharacterKind.Letter) return Characters.EndOfRun(text, start, kind);
        if (kind == CharacterKind.Number) return EndOfNumber(text, start);

        var next = start + width;
        var nextKind = next < text.Length ? Characters.KindAt(text, next, out _) : CharacterKind.Space;
        if (nextKind == CharacterKind.Letter && first is not ('\r' or '\n'))
            return Characters.EndOfRun(text, next, nextKind);
        if (kind == CharacterKind.Other || (first == ' ' && nextKind == CharacterKind.Other))
        {
            var end = Characters.EndOfRun(text, kind == CharacterKind.Other ? start : next, CharacterKind.Other);
            while (end < text.Length && text[end] is '\r' or '\n') end++;
            return end;
        }

        // \s*[\r\n]+ takes white space up to the last line break in it.
        var space = text[start..Characters.EndOfRun(text, start, CharacterKind.Space)];
        var lineBreak = space.LastIndexOfAny('\r', '\n');
        return lineBreak >= 0 ? start + lineBreak + 1 : EndOfSpace(text, start);
    }

    private int EndOfNumber(ReadOnlySpan<char> text, int index)
    {
        for (var count = 0; count < digits && index < text.Length; count++)
        {
            if (Characters.KindAt(text, index, out var length) != CharacterKind.Number) break;
            index += length;
        }

        return index;
    }

    // The long s, U+017F, is an s where case does not count.
    private static int Contraction(ReadOnlySpan<char> rest) => rest switch
    {
        ['s' or 'S' or 'ſ' or 't' or 'T' or 'm' or 'M' or 'd' or 'D', ..] => 1,
        ['r' or 'R' or 'v' or 'V', 'e' or 'E', ..] or ['l' or 'L', 'l' or 'L', ..] => 2,
        _ => 0,
    };
}
