using System.Buffers.Binary;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// What sentencepiece replaces in texts: a double array (Yata's darts-clone) from UTF-8 to texts. The bytes are the
/// length of the array in bytes, the array of 32-bit units, and the texts, each ended by a zero byte; all little-endian.
/// </summary>
internal sealed class CharacterMap
{
    private const int LengthBytes = 4;

    private readonly uint[] _units;
    private readonly byte[] _texts;

    /// <param name="bytes">The map as a file holds it.</param>
    /// <exception cref="ArgumentException">It is cut short.</exception>
    public CharacterMap(ReadOnlyMemory<byte> bytes)
    {
        var span = bytes.Span;
        var length = span.Length < LengthBytes ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(span);
        if (length > span.Length - LengthBytes || length % sizeof(uint) != 0 || length == 0)
            throw new ArgumentException($"The map's array has {length} bytes, but {span.Length} are all there is.");
        Bytes = bytes;
        _units = new uint[length / sizeof(uint)];
        for (var i = 0; i < _units.Length; i++)
            _units[i] = BinaryPrimitives.ReadUInt32LittleEndian(span[(LengthBytes + i * sizeof(uint))..]);
        _texts = span[(LengthBytes + (int)length)..].ToArray();
    }

    /// <summary>The map as it was given.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>The first entry that a text starts with, from the shortest on.</summary>
    /// <param name="text">UTF-8.</param>
    /// <param name="longest">Whether to go on to the longest.</param>
    /// <param name="length">How many bytes the entry has; 0 where there is none.</param>
    /// <returns>What takes its place, UTF-8.</returns>
    public ReadOnlySpan<byte> Find(ReadOnlySpan<byte> text, bool longest, out int length)
    {
        length = 0;
        var found = 0u;
        var at = Offset(_units[0]);
        for (var i = 0; i < text.Length; i++)
        {
            at ^= text[i];
            // Places outside the array are those of a damaged file; they lead nowhere.
            if (at >= _units.Length || Label(_units[at]) != text[i]) break;
            var unit = _units[at];
            at ^= Offset(unit);
            if ((unit >> 8 & 1) == 0 || at >= _units.Length) continue;
            (found, length) = (_units[at] & 0x7FFFFFFF, i + 1);
            if (!longest) break;
        }

        if (length == 0 || found >= _texts.Length) return default;
        var rest = _texts.AsSpan((int)found);
        var end = rest.IndexOf((byte)0);
        return end < 0 ? rest : rest[..end];
    }

    /// <summary>What takes the place of a text by the first entry it starts with, or null where there is none.</summary>
    public string? Find(ReadOnlySpan<char> text)
    {
        Span<byte> bytes = stackalloc byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        var replaced = Find(bytes[..Encoding.UTF8.GetBytes(text, bytes)], longest: false, out var length);
        return length == 0 ? null : Encoding.UTF8.GetString(replaced);
    }

    private static uint Label(uint unit) => unit & 0x800000FF;

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 0x200) >> 6);
}
