using System.Buffers;
using System.Text;

namespace Tessera.Text.Corpora;

/// <summary>Text files read strictly: UTF-8 without exceptions, a byte order mark dropped, <c>\r\n</c> taken for <c>\n</c>.</summary>
internal static class Utf8File
{
    /// <summary>What fits one string whatever its characters.</summary>
    private const long _mostBytes = 1_000_000_000;

    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The lines of a file without their ends, in order; the text after the last line end counts if there is any.</summary>
    /// <exception cref="InvalidDataException">A byte is not UTF-8; the message names the file, the line and the offset.</exception>
    public static IEnumerable<string> Lines(string path, CancellationToken cancellationToken = default)
    {
        var bytes = Bytes(path);
        for (var start = AfterMark(bytes); start < bytes.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var length = bytes.AsSpan(start).IndexOf((byte)'\n');
            var end = length < 0 ? bytes.Length : start + length;
            var hasReturn = length > 0 && bytes[end - 1] == '\r';
            yield return Decode(path, bytes, start, hasReturn ? end - 1 : end);
            start = end + 1;
        }
    }

    /// <summary>The whole text of a file, or null where it holds a zero byte and so is no text.</summary>
    /// <exception cref="InvalidDataException">A byte is not UTF-8; the message names the file, the line and the offset.</exception>
    public static string? Text(string path)
    {
        var bytes = Bytes(path);
        if (bytes.AsSpan().Contains((byte)0)) return null;
        return Decode(path, bytes, AfterMark(bytes), bytes.Length).Replace("\r\n", "\n", StringComparison.Ordinal);
    }

    private static byte[] Bytes(string path)
    {
        var length = new FileInfo(path).Length;
        if (length > _mostBytes)
            throw new InvalidDataException($"{path} has {length} bytes; a corpus file may have {_mostBytes} at most");
        return File.ReadAllBytes(path);
    }

    private static int AfterMark(byte[] bytes) => bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? 3 : 0;

    private static string Decode(string path, byte[] bytes, int start, int end)
    {
        try
        {
            return _strict.GetString(bytes, start, end - start);
        }
        catch (DecoderFallbackException)
        {
            var offset = start;
            while (Rune.DecodeFromUtf8(bytes.AsSpan(offset..end), out _, out var used) == OperationStatus.Done) offset += used;
            var line = 1 + bytes.AsSpan(..offset).Count((byte)'\n');
            throw new InvalidDataException(
                $"{path}:{line}: byte 0x{bytes[offset]:X2} at offset {offset} of the file is not valid UTF-8");
        }
    }
}
