using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Writes blanks as <c>▁</c>, puts one before a text, and cuts before each: sentencepiece's way in
/// <c>tokenizer.json</c>.
/// </summary>
/// <param name="blank">How a blank is written; one character.</param>
/// <param name="scheme">Whether one is put before every text, only before what begins the whole, or never.</param>
/// <param name="splits">Whether it cuts at all.</param>
internal sealed class MetaspacePreTokenizer(string blank, PrependScheme scheme, bool splits) : PreTokenizer
{
    /// <summary>How a blank is written.</summary>
    public string Blank => blank;

    /// <summary>Whether a blank may be put before a text.</summary>
    public bool Adds => scheme != PrependScheme.Never;

    internal override bool ChangesText => true;

    internal override ReadOnlySpan<char> Prepared(ReadOnlySpan<char> text, bool atStart)
    {
        if (text.IsEmpty) return text;
        var written = text.ToString().Replace(" ", blank, StringComparison.Ordinal);
        var adds = scheme == PrependScheme.Always || (scheme == PrependScheme.First && atStart);
        return adds && !written.StartsWith(blank, StringComparison.Ordinal) ? blank + written : written;
    }

    internal override void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        for (var start = 0; start < text.Length;)
        {
            var next = splits ? text[(start + 1)..].IndexOf(blank, StringComparison.Ordinal) : -1;
            var end = next < 0 ? text.Length : start + 1 + next;
            pieces.Add(new Piece(offset + start, end - start));
            start = end;
        }
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "Metaspace");
        writer.WriteString("replacement", blank);
        writer.WriteString("prepend_scheme", scheme switch
        {
            PrependScheme.First => "first",
            PrependScheme.Never => "never",
            _ => "always",
        });
        writer.WriteBoolean("split", splits);
        writer.WriteEndObject();
    }

    internal static new MetaspacePreTokenizer Read(JsonPart part)
    {
        var blank = part.Required("replacement");
        var scheme = part.Optional("prepend_scheme");
        if (blank.Text().EnumerateRunes().Count() != 1) throw blank.Wrong("one character");
        var known = scheme?.Text() switch
        {
            // Files from before there were schemes.
            null => part.Flag("add_prefix_space", otherwise: true) ? PrependScheme.Always : PrependScheme.Never,
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            _ => throw scheme!.Unsupported("always, first or never"),
        };
        return new MetaspacePreTokenizer(blank.Text(), known, part.Flag("split", otherwise: true));
    }
}

/// <summary>Where <see cref="MetaspacePreTokenizer"/> puts a blank before a text that has none.</summary>
internal enum PrependScheme
{
    /// <summary>Before every stretch between added tokens.</summary>
    Always,

    /// <summary>Only at the beginning of the whole text.</summary>
    First,

    /// <summary>Nowhere.</summary>
    Never,
}
