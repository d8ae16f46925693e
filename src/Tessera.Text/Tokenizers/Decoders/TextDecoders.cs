using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>Writes one text in place of another within each token.</summary>
internal sealed class ReplaceDecoder(Replacement replacement) : Decoder
{
    private protected override string Kind => "Replace";

    public override DecoderStep Begin() => new TokenwiseStep((token, _) => replacement.Apply(token));

    private protected override void WriteMembers(Utf8JsonWriter writer) => replacement.WriteMembers(writer);
}

/// <summary>Makes all one, so that what follows sees the whole.</summary>
internal sealed class FuseDecoder : Decoder
{
    private protected override string Kind => "Fuse";

    public override bool Fuses => true;

    public override DecoderStep Begin() => new TokenwiseStep((token, _) => token);

    public override DecoderStep BeginFused() => Begin();
}

/// <summary>Takes a character from the ends of each token, at most so many times.</summary>
internal sealed class StripDecoder(string content, int start, int stop) : Decoder
{
    private protected override string Kind => "Strip";

    private string Content => content;

    private int Start => start;

    private int Stop => stop;

    public override DecoderStep Begin() => new TokenwiseStep((token, _) =>
    {
        for (var i = 0; i < start && token.StartsWith(content, StringComparison.Ordinal); i++)
            token = token[content.Length..];
        return WithoutEnd(token);
    });

    public override DecoderStep BeginFused() => new FusedStep(this);

    private string WithoutEnd(string token)
    {
        for (var i = 0; i < stop && token.EndsWith(content, StringComparison.Ordinal); i++)
            token = token[..^content.Length];
        return token;
    }

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteString("content", content);
        writer.WriteNumber("start", start);
        writer.WriteNumber("stop", stop);
    }

    internal static new StripDecoder Read(JsonPart part)
    {
        var content = part.Required("content");
        if (content.Text().Length == 0) throw content.Wrong("a character");
        return new StripDecoder(content.Text(), part.Required("start").Id(), part.Required("stop").Id());
    }

    /// <summary>Takes from the ends of one token that comes in parts.</summary>
    private sealed class FusedStep(StripDecoder decoder) : DecoderStep
    {
        private string _held = "";
        private int _taken;

        public override void Add(string token, List<string> into)
        {
            _held += token;
            while (_taken < decoder.Start && _held.StartsWith(decoder.Content, StringComparison.Ordinal))
            {
                _held = _held[decoder.Content.Length..];
                _taken++;
            }

            if (_taken < decoder.Start && decoder.Content.StartsWith(_held, StringComparison.Ordinal)) return;
            _taken = decoder.Start; // what does not begin with the content now never will
            var settled = (int)Math.Max(0, _held.Length - ((long)decoder.Stop * decoder.Content.Length));
            into.Add(_held[..settled]);
            _held = _held[settled..];
        }

        public override void Finish(List<string> into) => into.Add(decoder.WithoutEnd(_held));
    }
}

/// <summary>Blanks are written <c>▁</c>; those of the first token go, where encoding puts one before a text.</summary>
/// <param name="metaspace">What encodes.</param>
internal sealed class MetaspaceDecoder(MetaspacePreTokenizer metaspace) : Decoder
{
    private protected override string Kind => "Metaspace";

    public override DecoderStep Begin() => new TokenwiseStep((token, isFirst) =>
        token.Replace(metaspace.Blank, isFirst && metaspace.Adds ? "" : " ", StringComparison.Ordinal));

    public override void Write(Utf8JsonWriter writer) => metaspace.Write(writer);
}

/// <summary>WordPiece: tokens go on a word by a prefix, all others begin a new one.</summary>
/// <param name="prefix">Such as <c>##</c>.</param>
/// <param name="cleansUp">Whether blanks before punctuation and English contractions are taken out again.</param>
internal sealed class WordPieceDecoder(string prefix, bool cleansUp) : Decoder
{
    // In this order: what one makes the next may change.
    private static readonly (string Written, string Meant)[] _cleaning =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    private protected override string Kind => "WordPiece";

    public override DecoderStep Begin() => new TokenwiseStep((token, isFirst) =>
    {
        if (!isFirst)
            token = prefix.Length > 0 && token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : $" {token}";
        if (!cleansUp) return token;
        foreach (var (written, meant) in _cleaning) token = token.Replace(written, meant, StringComparison.Ordinal);
        return token;
    });

    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteString("prefix", prefix);
        writer.WriteBoolean("cleanup", cleansUp);
    }

    internal static new WordPieceDecoder Read(JsonPart part) =>
        new(part.Optional("prefix")?.Text() ?? "##", part.Flag("cleanup", otherwise: true));
}

/// <summary>Words end in a suffix, which becomes a blank, but for the last.</summary>
internal sealed class SuffixDecoder(string suffix) : Decoder
{
    /// <summary>The suffix where a file names none.</summary>
    public const string UsualSuffix = "</w>";

    private protected override string Kind => "BPEDecoder";

    public override DecoderStep Begin() => suffix.Length == 0 ? new TokenwiseStep((token, _) => token) : new Step(suffix);

    private protected override void WriteMembers(Utf8JsonWriter writer) => writer.WriteString("suffix", suffix);

    /// <summary>Holds back a token with the suffix until another follows.</summary>
    private sealed class Step(string suffix) : DecoderStep
    {
        private string? _last;

        public override void Add(string token, List<string> into)
        {
            if (_last is not null) into.Add(_last.Replace(suffix, " ", StringComparison.Ordinal));
            _last = token.Contains(suffix, StringComparison.Ordinal) ? token : null;
            if (_last is null) into.Add(token);
        }

        public override void Finish(List<string> into)
        {
            if (_last is not null) into.Add(_last.Replace(suffix, "", StringComparison.Ordinal));
        }
    }
}
