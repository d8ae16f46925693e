using System.Buffers;
using System.Text;

namespace Tessera.Text.Corpora;

/// <summary>Text files read strictly: what is not in the encoding is not replaced but told. A byte order mark is dropped, and says the
/// encoding where it is one of UTF-16; <c>\r\n</c> is taken for <c>\n</c>.</summary>
internal static class TextFile
{
    /// <summary>The encoding that files have unless said.</summary>
    public const string Usual = "utf-8";

    /// <summary>What fits one string whatever its characters.</summary>
    private const long _mostBytes = 1_000_000_000;

    private static readonly UTF8Encoding _utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Whether an encoding is known, by a name that IANA knows, or <c>latin-1</c>.</summary>
    public static bool IsKnown(string encoding) => Find(encoding) is not null;

    /// <summary>The lines of a file without their ends, in order; the text after the last line end counts if there is any.</summary>
    /// <exception cref="InvalidDataException">A byte is not in the encoding; the message names the file and the place.</exception>
    public static IEnumerable<string> Lines(string path, string encoding, CancellationToken cancellationToken = default)
    {
        var (decoder, bytes) = Open(path, encoding);
        return ReferenceEquals(decoder, _utf8)
            ? Utf8Lines(path, bytes, cancellationToken)
            : LinesOf(Decode(bytes, decoder, encoding, out var problem) ?? throw new InvalidDataException($"{path}{problem}"));
    }

    /// <summary>The whole text of a file; null where it is no text.</summary>
    /// <param name="path">The file.</param>
    /// <param name="encoding">Its encoding.</param>
    /// <param name="problem">What is not in the encoding, to follow the file's name; null where the file holds a zero byte and so is no
    /// text in any.</param>
    public static string? Text(string path, string encoding, out string? problem)
    {
        var (decoder, bytes) = Open(path, encoding);
        problem = null;
        if (decoder.GetByteCount("a") == 1 && bytes.AsSpan().Contains((byte)0)) return null;
        return Decode(bytes, decoder, encoding, out problem)?.Replace("\r\n", "\n", StringComparison.Ordinal);
    }

    private static IEnumerable<string> Utf8Lines(string path, byte[] bytes, CancellationToken cancellationToken)
    {
        for (var start = AfterMark(bytes, _utf8); start < bytes.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var length = bytes.AsSpan(start).IndexOf((byte)'\n');
            var end = length < 0 ? bytes.Length : start + length;
            var hasReturn = length > 0 && bytes[end - 1] == '\r';
            yield return DecodeUtf8(bytes, start, hasReturn ? end - 1 : end, out var problem)
                ?? throw new InvalidDataException($"{path}{problem}");
            start = end + 1;
        }
    }

    private static IEnumerable<string> LinesOf(string text)
    {
        for (var start = 0; start < text.Length;)
        {
            var length = text.AsSpan(start).IndexOf('\n');
            var end = length < 0 ? text.Length : start + length;
            yield return text[start..(length > 0 && text[end - 1] == '\r' ? end - 1 : end)];
            start = end + 1;
        }
    }

    private static (Encoding Decoder, byte[] Bytes) Open(string path, string encoding)
    {
        var length = new FileInfo(path).Length;
        if (length > _mostBytes)
            throw new InvalidDataException($"{path} has {length} bytes; a corpus file may have {_mostBytes} at most");
        var bytes = File.ReadAllBytes(path);
        var marked = bytes switch
        {
            [0xFF, 0xFE, 0, 0, ..] => null,
            [0xFF, 0xFE, ..] => Find("utf-16"),
            [0xFE, 0xFF, ..] => Find("utf-16BE"),
            _ => null,
        };
        return (marked ?? Find(encoding)!, bytes);
    }

    private static string? Decode(byte[] bytes, Encoding decoder, string encoding, out string? problem)
    {
        var start = AfterMark(bytes, decoder);
        if (ReferenceEquals(decoder, _utf8)) return DecodeUtf8(bytes, start, bytes.Length, out problem);
        try
        {
            problem = null;
            return decoder.GetString(bytes, start, bytes.Length - start);
        }
        catch (DecoderFallbackException error)
        {
            problem = $": byte 0x{error.BytesUnknown?.FirstOrDefault() ?? 0:X2} at offset {start + error.Index} of the file is not valid "
                + encoding;
            return null;
        }
    }

    private static string? DecodeUtf8(byte[] bytes, int start, int end, out string? problem)
    {
        try
        {
            problem = null;
            return _utf8.GetString(bytes, start, end - start);
        }
        catch (DecoderFallbackException)
        {
            var offset = start;
            while (Rune.DecodeFromUtf8(bytes.AsSpan(offset..end), out _, out var used) == OperationStatus.Done) offset += used;
            var line = 1 + bytes.AsSpan(..offset).Count((byte)'\n');
            problem = $":{line}: byte 0x{bytes[offset]:X2} at offset {offset} of the file is not valid UTF-8";
            return null;
        }
    }

    private static int AfterMark(byte[] bytes, Encoding encoding) =>
        encoding.Preamble is { Length: > 0 } mark && bytes.AsSpan().StartsWith(mark) ? mark.Length
        : ReferenceEquals(encoding, _utf8) && bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length
        : 0;

    private static Encoding? Find(string name)
    {
        if (name.ToLowerInvariant() is "utf-8" or "utf8") return _utf8;
        var known = name.ToLowerInvariant() is "latin-1" ? "iso-8859-1" : name;
        var (encoder, decoder) = (EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback);
        try
        {
            return CodePagesEncodingProvider.Instance.GetEncoding(known, encoder, decoder) ?? Encoding.GetEncoding(known, encoder, decoder);
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            return null;
        }
    }
}
