using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Runs of word characters and runs of anything else but white space, which is dropped: <c>\w+|[^\w\s]+</c>.
/// </summary>
public sealed class WhitespacePreTokenizer : PreTokenizer
{
    internal override void Cut(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        var start = 0;
        bool? word = null;
        for (var i = 0; i < text.Length;)
        {
            // The text is well formed, so a rune is always there.
            Rune.DecodeFromUtf16(text[i..], out var rune, out var length);
            bool? current = Rune.IsWhiteSpace(rune) ? null : Characters.IsWord(rune);
            if (current != word)
            {
                if (word is not null) pieces.Add(new Piece(offset + start, i - start));
                (start, word) = (i, current);
            }

            i += length;
        }

        if (word is not null) pieces.Add(new Piece(offset + start, text.Length - start));
    }

    internal override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "Whitespace");
        writer.WriteEndObject();
    }
}
