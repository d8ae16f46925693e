using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// What a <c>tokenizer.model</c> does to a text: the longest entries of its character map replaced, from left to right;
/// runs of blanks made one and those at the ends dropped; a blank put before; blanks written <c>▁</c>.
/// <para>Kudo, Richardson 2018, <see href="https://arxiv.org/abs/1808.06226"/>.</para>
/// </summary>
/// <param name="map">The character map, or null for none.</param>
/// <param name="symbols">User-defined symbols, which nothing changes; may be empty.</param>
/// <param name="addsBlank">Whether a blank is put before (after, with <paramref name="blanksAfter"/>).</param>
/// <param name="dropsBlanks">Whether blanks beyond one, and those at the ends, are dropped.</param>
/// <param name="escapesBlanks">Whether blanks are written <c>▁</c>.</param>
/// <param name="blanksAfter">Whether the blank that is added goes after the text.</param>
internal sealed class SentencePieceNormalizer(
    CharacterMap? map,
    IReadOnlyCollection<string> symbols,
    bool addsBlank,
    bool dropsBlanks,
    bool escapesBlanks,
    bool blanksAfter) : Normalizer
{
    /// <summary>How a blank is written in pieces, U+2581.</summary>
    public const char Blank = '▁';

    private readonly PieceTrie _symbols = new(symbols.Select((symbol, index) => (symbol, index)));
    private readonly char _blank = escapesBlanks ? Blank : ' ';

    private protected override string Kind => "Sequence";

    public override string Normalize(string text)
    {
        if (text.Length == 0) return text;
        var normalized = new StringBuilder(text.Length + 1);
        if (addsBlank && !blanksAfter) normalized.Append(_blank);
        // Blanks at the beginning are dropped like those after another.
        var afterBlank = dropsBlanks;
        if (map is not null || symbols.Count > 0) AppendReplaced(text, normalized, ref afterBlank);
        else
            for (var i = 0; i < text.Length; i++) Append(text.AsSpan(i, 1), normalized, ref afterBlank);

        if (dropsBlanks)
        {
            var length = normalized.Length;
            while (length > 0 && normalized[length - 1] == _blank) length--;
            normalized.Length = length;
            // A text of blanks alone is no text.
            if (length == 0) return "";
        }

        if (addsBlank && blanksAfter) normalized.Append(_blank);
        return normalized.ToString();
    }

    // A symbol with a blank is not found where blanks are written otherwise: sentencepiece looks for it as it stands, too.
    internal override string NormalizeToken(string text) => text;

    /// <summary>Writes the steps of <c>tokenizer.json</c> that come nearest, as other converters do.</summary>
    internal override void Write(Utf8JsonWriter writer)
    {
        var steps = new List<Normalizer>();
        if (map is not null) steps.Add(new PrecompiledNormalizer(map));
        if (dropsBlanks)
        {
            steps.Add(new StripNormalizer(left: true, right: true));
            steps.Add(new ReplaceNormalizer(new Replacement(" {2,}", " ", isExpression: true)));
        }

        if (addsBlank && !blanksAfter) steps.Add(new PrependNormalizer(" "));
        if (escapesBlanks) steps.Add(new ReplaceNormalizer(new Replacement(" ", $"{Blank}")));
        new NormalizerSequence(steps).Write(writer);
    }

    private void AppendReplaced(string text, StringBuilder into, ref bool afterBlank)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (int i = 0, at = 0; i < text.Length;)
        {
            var rest = text.AsSpan(i);
            Rune.DecodeFromUtf16(rest, out var rune, out var taken);
            var replaced = rest[..taken];
            if (_symbols.Longest(rest) is var symbol and > 0)
            {
                replaced = rest[..(taken = symbol)];
            }
            else if (map is not null && map.Find(bytes.AsSpan(at), longest: true, out var length) is var other && length > 0)
            {
                replaced = Encoding.UTF8.GetString(other);
                // An entry ends where a character does, unless the map is damaged.
                while (length > rune.Utf8SequenceLength && taken < rest.Length)
                {
                    length -= rune.Utf8SequenceLength;
                    Rune.DecodeFromUtf16(rest[taken..], out rune, out var width);
                    taken += width;
                }
            }

            Append(replaced, into, ref afterBlank);
            at += Encoding.UTF8.GetByteCount(rest[..taken]);
            i += taken;
        }
    }

    private void Append(ReadOnlySpan<char> text, StringBuilder into, ref bool afterBlank)
    {
        if (afterBlank) text = text.TrimStart(' ');
        if (text.IsEmpty) return;
        foreach (var character in text) into.Append(character == ' ' ? _blank : character);
        afterBlank = dropsBlanks && text[^1] == ' ';
    }
}
