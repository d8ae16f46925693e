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

    public override bool Fuses => true;

    public override DecoderStep Begin() => new Step();

    // The members mean something to the pre-tokenizer of this name alone, but readers want them.
    private protected override void WriteMembers(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("add_prefix_space", true);
        writer.WriteBoolean("trim_offsets", true);
        writer.WriteBoolean("use_regex", true);
    }

    /// <summary>Holds back the bytes of a character that is not whole.</summary>
    private sealed class Step : DecoderStep
    {
        private readonly ArrayBufferWriter<byte> _bytes = new(16);

        public override void Add(string token, List<string> into)
        {
            ByteAlphabet.Decode(token, _bytes);
            var begun = BegunCharacter(_bytes.WrittenSpan);
            if (begun.Length == _bytes.WrittenCount) return;
            into.Add(Encoding.UTF8.GetString(_bytes.WrittenSpan[..^begun.Length]));
            Span<byte> held = stackalloc byte[begun.Length];
            begun.CopyTo(held);
            _bytes.ResetWrittenCount();
            _bytes.Write(held);
        }

        public override void Finish(List<string> into)
        {
            if (_bytes.WrittenCount > 0) into.Add(Encoding.UTF8.GetString(_bytes.WrittenSpan));
        }

        public override DecoderStep Fork()
        {
            var fork = new Step();
            fork._bytes.Write(_bytes.WrittenSpan);
            return fork;
        }

        /// <summary>The bytes at the end that further ones may make a character: at most three.</summary>
        private static ReadOnlySpan<byte> BegunCharacter(ReadOnlySpan<byte> bytes)
        {
            const byte FirstOfTwoOrMore = 0xC0;
            for (var start = bytes.Length - 1; start >= Math.Max(0, bytes.Length - 3); start--)
            {
                if (bytes[start] < FirstOfTwoOrMore) continue;
                return Rune.DecodeFromUtf8(bytes[start..], out _, out _) == OperationStatus.NeedMoreData ? bytes[start..] : [];
            }

            return [];
        }
    }
}

/// <summary>
/// Tokens such as <c>&lt;0xE2&gt;</c> are bytes. Neighbours are read together as UTF-8, and what is no character becomes U+FFFD, byte
/// by byte. Hugging Face's library makes U+FFFD of all neighbours of such a byte; it could then not show any of them before the last.
/// </summary>
internal sealed class ByteFallbackDecoder : Decoder
{
    private protected override string Kind => "ByteFallback";

    /// <summary>The token of a byte.</summary>
    public static string TokenOf(int value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    /// <summary>The byte of a token, or null.</summary>
    public static byte? ByteOf(string token) =>
        token is ['<', '0', 'x', _, _, '>']
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;

    public override DecoderStep Begin() => new Step(new ByteRun());

    private sealed class Step(ByteRun bytes) : DecoderStep
    {
        public override void Add(string token, List<string> into)
        {
            if (ByteOf(token) is { } value)
            {
                bytes.Add(value, into);
                return;
            }

            bytes.Finish(into);
            into.Add(token);
        }

        public override void Finish(List<string> into) => bytes.Finish(into);

        public override DecoderStep Fork() => new Step(bytes.Fork());
    }
}
