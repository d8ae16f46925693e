using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// How sentencepiece reads pieces: <c>▁</c> is a blank, that at the beginning goes where encoding adds or drops blanks;
/// bytes are read together, each that is no UTF-8 becomes U+FFFD; the unknown piece has a text of its own.
/// </summary>
/// <param name="unknown">The unknown piece.</param>
/// <param name="unknownText">What it decodes to, <c>" ⁇ "</c> by default.</param>
/// <param name="trimsStart">Whether encoding adds a blank or drops those at the beginning.</param>
/// <param name="trimsAll">Whether more than one blank at the beginning goes.</param>
internal sealed class SentencePieceDecoder(string unknown, string unknownText, bool trimsStart, bool trimsAll) : Decoder
{
    private protected override string Kind => "Sequence";

    public override bool Fuses => true;

    public override DecoderStep Begin() => new Step(this, new ByteRun(), trimsStart, isEmpty: true);

    /// <summary>Writes the steps of <c>tokenizer.json</c> that come nearest, as other converters do.</summary>
    public override void Write(Utf8JsonWriter writer)
    {
        var blank = new Replacement($"{SentencePieceNormalizer.Blank}", " ");
        List<Decoder> steps = [new ReplaceDecoder(blank), new ByteFallbackDecoder(), new FuseDecoder()];
        if (trimsStart) steps.Add(new StripDecoder(" ", 1, 0));
        new DecoderSequence(steps).Write(writer);
    }

    private bool TrimsAll => trimsAll;

    private bool IsTrimmed(string token) => token != unknown && token is [SentencePieceNormalizer.Blank, ..];

    private string PieceText(string token) => token == unknown ? unknownText : token.Replace(SentencePieceNormalizer.Blank, ' ');

    private sealed class Step(SentencePieceDecoder decoder, ByteRun bytes, bool trims, bool isEmpty) : DecoderStep
    {
        private readonly List<string> _characters = [];
        private bool _trims = trims, _isEmpty = isEmpty;

        public override void Add(string token, List<string> into)
        {
            if (ByteFallbackDecoder.ByteOf(token) is { } value)
            {
                bytes.Add(value, _characters);
                GiveCharacters(into);
                return;
            }

            Finish(into);
            var text = decoder.PieceText(token);
            if (_trims && _isEmpty && decoder.IsTrimmed(token))
            {
                text = text[1..];
                _trims = decoder.TrimsAll;
            }

            Give(text, into);
        }

        public override void Finish(List<string> into)
        {
            bytes.Finish(_characters);
            GiveCharacters(into);
        }

        public override DecoderStep Fork() => new Step(decoder, bytes.Fork(), _trims, _isEmpty);

        private void GiveCharacters(List<string> into)
        {
            foreach (var character in _characters) Give(character, into);
            _characters.Clear();
        }

        private void Give(string text, List<string> into)
        {
            into.Add(text);
            _isEmpty &= text.Length == 0;
        }
    }
}
