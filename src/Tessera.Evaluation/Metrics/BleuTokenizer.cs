using System.Text;

namespace Tessera.Evaluation.Metrics;

/// <summary>
/// How <see cref="CorpusBleu"/> cuts a text into tokens: the tokenizers of sacrebleu 2.6 that need no dictionary or model,
/// under the same names (<see href="https://github.com/mjpost/sacrebleu"/>).
/// </summary>
public sealed class BleuTokenizer
{
    private readonly Func<string, string> _separate;

    private BleuTokenizer(string name, Func<string, string> separate) => (Name, _separate) = (name, separate);

    /// <summary>
    /// <c>13a</c>, the default and the one of WMT: four entities are read, ASCII punctuation other than <c>' , - .</c>
    /// stands alone, a period or comma does unless it is between digits, and a hyphen does after a digit (NIST's mteval-v13a).
    /// </summary>
    public static BleuTokenizer Mteval13a { get; } = new("13a", text => Western(" " + Entities(text) + " "));

    /// <summary><c>none</c>: the text is already tokenized; tokens are separated by blanks.</summary>
    public static BleuTokenizer None { get; } = new("none", text => text);

    /// <summary><c>char</c>: every code point other than a blank is a token.</summary>
    public static BleuTokenizer Character { get; } = new("char", text => string.Join(' ', text.EnumerateRunes()));

    /// <summary><c>zh</c>: Chinese characters, and the symbols used with them, stand alone; the rest is cut as in <c>13a</c>.</summary>
    public static BleuTokenizer Chinese { get; } =
        new("zh", text => Western(Write(Alone(Read(Blanks.Trim(text)), IsChinese))));

    /// <summary>
    /// <c>intl</c>: all Unicode symbols stand alone, and punctuation does unless it is between numbers (NIST's mteval-v14).
    /// </summary>
    public static BleuTokenizer International { get; } = new("intl", SeparateInternational);

    /// <summary>All tokenizers, the default first.</summary>
    public static IReadOnlyList<BleuTokenizer> All { get; } = [Mteval13a, None, Character, Chinese, International];

    /// <summary>The name sacrebleu gives it, as it stands in a signature.</summary>
    public string Name { get; }

    /// <summary>The tokenizer of a name: <c>13a</c>, <c>none</c>, <c>char</c>, <c>zh</c> or <c>intl</c>.</summary>
    /// <exception cref="ArgumentException">There is no tokenizer of that name.</exception>
    public static BleuTokenizer Named(string name) =>
        All.FirstOrDefault(tokenizer => tokenizer.Name == name)
        ?? throw new ArgumentException($"BLEU has no tokenizer '{name}'; it has {string.Join(", ", All)}.", nameof(name));

    /// <summary>The tokens of a text, none of them empty.</summary>
    public string[] Tokenize(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Blanks.Split(_separate(Blanks.TrimEnd(text)));
    }

    /// <summary>The name.</summary>
    public override string ToString() => Name;

    private static string Entities(string text) =>
        text.Replace("<skipped>", "", StringComparison.Ordinal)
            .Replace("-\n", "", StringComparison.Ordinal).Replace('\n', ' ')
            .Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal)
            .Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal);

    private static string Western(string text)
    {
        var runes = Alone(Read(text), IsWesternMark);
        runes = SecondOfPairs(runes, rune => !IsDigit(rune), IsPeriodOrComma);
        runes = FirstOfPairs(runes, IsPeriodOrComma, rune => !IsDigit(rune));
        runes = SecondOfPairs(runes, IsDigit, rune => rune.Value == '-');
        return Write(runes);
    }

    private static string SeparateInternational(string text)
    {
        var runes = SecondOfPairs(Read(text), rune => !Rune.IsNumber(rune), Rune.IsPunctuation);
        runes = FirstOfPairs(runes, Rune.IsPunctuation, rune => !Rune.IsNumber(rune));
        return Write(Alone(runes, Rune.IsSymbol));
    }

    /// <summary>Puts blanks around every character of a kind.</summary>
    private static List<Rune> Alone(List<Rune> text, Func<Rune, bool> kind)
    {
        var result = new List<Rune>(text.Count);
        foreach (var rune in text)
        {
            if (kind(rune)) result.AddRange([Blank, rune, Blank]);
            else result.Add(rune);
        }

        return result;
    }

    /// <summary>Puts blanks around the second character of each pair.</summary>
    private static List<Rune> SecondOfPairs(List<Rune> text, Func<Rune, bool> first, Func<Rune, bool> second) =>
        EachPair(text, first, second, (a, b) => [a, Blank, b, Blank]);

    /// <summary>Puts blanks around the first character of each pair.</summary>
    private static List<Rune> FirstOfPairs(List<Rune> text, Func<Rune, bool> first, Func<Rune, bool> second) =>
        EachPair(text, first, second, (a, b) => [Blank, a, Blank, b]);

    /// <summary>Replaces pairs of neighbours, found from left to right without overlap as a regular expression finds them.</summary>
    private static List<Rune> EachPair(
        List<Rune> text, Func<Rune, bool> first, Func<Rune, bool> second, Func<Rune, Rune, Rune[]> replace)
    {
        var result = new List<Rune>(text.Count);
        for (var i = 0; i < text.Count; i++)
        {
            var isPair = i + 1 < text.Count && first(text[i]) && second(text[i + 1]);
            if (isPair) result.AddRange(replace(text[i], text[++i]));
            else result.Add(text[i]);
        }

        return result;
    }

    private static Rune Blank => new(' ');

    private static bool IsDigit(Rune rune) => rune.Value is >= '0' and <= '9';

    private static bool IsPeriodOrComma(Rune rune) => rune.Value is '.' or ',';

    private static bool IsWesternMark(Rune rune) =>
        rune.IsAscii && (Rune.IsPunctuation(rune) || Rune.IsSymbol(rune)) && rune.Value is not ('\'' or ',' or '-' or '.');

    /// <summary>
    /// The characters sacrebleu takes for Chinese. Its list means the ideographs beyond U+FFFF too, but writes them such that
    /// they read as U+2001 to U+2A6D and U+2F81 to U+2FA1; scores are comparable only where this is kept.
    /// </summary>
    private static bool IsChinese(Rune rune) => rune.Value is
        (>= 0x2001 and <= 0x2A6D) or (>= 0x2E80 and <= 0x2FDF) or (>= 0x2FF0 and <= 0x303F) or (>= 0x3100 and <= 0x312F)
        or (>= 0x31A0 and <= 0x31BF) or (>= 0x31C0 and <= 0x31EF) or (>= 0x3200 and <= 0x4DB5) or (>= 0x4E00 and <= 0x9FBB)
        or (>= 0xF900 and <= 0xFA2D) or (>= 0xFA30 and <= 0xFA6A) or (>= 0xFA70 and <= 0xFAD9)
        or (>= 0xFE10 and <= 0xFE1F) or (>= 0xFE30 and <= 0xFE4F) or (>= 0xFF00 and <= 0xFFEF);

    private static List<Rune> Read(string text) => [.. text.EnumerateRunes()];

    private static string Write(List<Rune> runes)
    {
        var text = new StringBuilder(runes.Count);
        foreach (var rune in runes) text.Append(rune);
        return text.ToString();
    }
}
