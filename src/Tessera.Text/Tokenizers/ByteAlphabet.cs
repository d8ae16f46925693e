using System.Buffers;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// The characters byte-level vocabularies are written in, one for each byte: printable characters of Latin-1 stand for
/// themselves, the other bytes for U+0100 and on, in order. So <c>" the"</c> is written <c>Ġthe</c>. From GPT-2
/// (Radford et al. 2019).
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] _characters = new char[256];
    private static readonly short[] _bytes = new short[256 + 68];

    static ByteAlphabet()
    {
        Array.Fill(_bytes, (short)-1);
        var next = '\u0100';
        for (var value = 0; value < 256; value++)
        {
            var printable = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE;
            _characters[value] = printable ? (char)value : next++;
            _bytes[_characters[value]] = (short)value;
        }
    }

    /// <summary>The character of each byte.</summary>
    public static ReadOnlySpan<char> Characters => _characters;

    /// <summary>A text's bytes in this alphabet.</summary>
    public static string Encode(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        return string.Create(bytes.Length, bytes, (written, values) =>
        {
            for (var i = 0; i < values.Length; i++) written[i] = _characters[values[i]];
        });
    }

    /// <summary>
    /// Appends what a token stands for: its bytes, or the UTF-8 of its text where one of its characters is not of this
    /// alphabet, as in an added token that holds a blank.
    /// </summary>
    public static void Decode(string token, IBufferWriter<byte> into)
    {
        var bytes = into.GetSpan(Encoding.UTF8.GetMaxByteCount(token.Length));
        for (var i = 0; i < token.Length; i++)
        {
            var value = token[i] < _bytes.Length ? _bytes[token[i]] : (short)-1;
            if (value < 0)
            {
                into.Advance(Encoding.UTF8.GetBytes(token, bytes));
                return;
            }

            bytes[i] = (byte)value;
        }

        into.Advance(token.Length);
    }
}
