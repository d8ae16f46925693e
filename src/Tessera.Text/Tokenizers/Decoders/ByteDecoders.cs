using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Tokens are written in <see cref="ByteAlphabet"/>; bytes that are no UTF-8 become U+FFFD.
/// </summary>
internal sealed class ByteLevelDecoder : Decoder
{
    private protected override string Kind => "ByteLevel";

    public override List<string> Apply(List<string> tokens)
    {
        var bytes = new ArrayBufferWriter<byte>(16 + 4 * tokens.Count);
        foreach (var token in tokens) ByteAlphabet.Decode(token, bytes);
        return [Encoding.UTF8.GetString(bytes.WrittenSpan)];
    }

    // The members mean something to the pre-tokenizer of this name alone, but readers want them.
    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("add_prefix_space", true);
        writer.WriteBoolean("trim_offsets", true);
        writer.WriteBoolean("use_regex", true);
    }
}

/// <summary>
/// Tokens such as <c>&lt;0xE2&gt;</c> are bytes. Neighbours are read together as UTF-8; where they are none, each
/// becomes U+FFFD.
/// </summary>
internal sealed class ByteFallbackDecoder : Decoder
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private protected override string Kind => "ByteFallback";

    /// <summary>The token of a byte.</summary>
    public static string TokenOf(int value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    /// <summary>The byte of a token, or null.</summary>
    public static byte? ByteOf(string token) =>
        token is ['<', '0', 'x', _, _, '>']
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;

    public override List<string> Apply(List<string> tokens)
    {
        var texts = new List<string>(tokens.Count);
        var bytes = new List<byte>();
        foreach (var token in tokens)
        {
            if (ByteOf(token) is { } value)
            {
                bytes.Add(value);
                continue;
            }

            Flush();
            texts.Add(token);
        }

        Flush();
        return texts;

        void Flush()
        {
            if (bytes.Count == 0) return;
            try
            {
                texts.Add(_strict.GetString([.. bytes]));
            }
            catch (DecoderFallbackException)
            {
                texts.Add(new string('\uFFFD', bytes.Count));
            }

            bytes.Clear();
        }
    }
}
