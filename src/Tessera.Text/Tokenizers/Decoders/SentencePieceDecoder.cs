using System.Text;
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

    public override List<string> Apply(List<string> tokens)
    {
        var text = new StringBuilder();
        var bytes = new List<byte>();
        var trims = trimsStart;
        foreach (var token in tokens)
        {
            if (ByteFallbackDecoder.ByteOf(token) is { } value)
            {
                bytes.Add(value);
                continue;
            }

            Flush();
            var piece = token.AsSpan();
            if (token == unknown) piece = unknownText;
            else if (trims && text.Length == 0 && piece is [SentencePieceNormalizer.Blank, ..])
            {
                piece = piece[1..];
                trims = trimsAll;
            }

            foreach (var character in piece)
                text.Append(character == SentencePieceNormalizer.Blank && token != unknown ? ' ' : character);
        }

        Flush();
        return [text.ToString()];

        void Flush()
        {
            for (var rest = (ReadOnlySpan<byte>)[.. bytes]; !rest.IsEmpty;)
            {
                // Of bytes that are no character sentencepiece takes one at a time, .NET as many as could begin one.
                var valid = Rune.DecodeFromUtf8(rest, out var rune, out var taken) == System.Buffers.OperationStatus.Done;
                text.Append(rune);
                rest = rest[(valid ? taken : 1)..];
            }

            bytes.Clear();
        }
    }

    /// <summary>Writes the steps of <c>tokenizer.json</c> that come nearest, as other converters do.</summary>
    public override void Write(Utf8JsonWriter writer)
    {
        var blank = new Replacement($"{SentencePieceNormalizer.Blank}", " ");
        List<Decoder> steps = [new ReplaceDecoder(blank), new ByteFallbackDecoder(), new FuseDecoder()];
        if (trimsStart) steps.Add(new StripDecoder(" ", 1, 0));
        new DecoderSequence(steps).Write(writer);
    }
}
