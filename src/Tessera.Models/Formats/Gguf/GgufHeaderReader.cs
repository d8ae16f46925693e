using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Tessera.Models.Formats.Gguf;

/// <summary>Reads the numbers and texts of a GGUF header, never beyond the end of the file, and allocates nothing that the
/// rest of the file could not fill.</summary>
internal sealed class GgufHeaderReader(StoredFile file)
{
    private const int LongestName = 65_535;
    private const int MaxNesting = 4;
    private const int MaxBuffered = 1 << 16;

    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly byte[] _number = new byte[8];
    private readonly byte[] _buffer = new byte[Math.Min(MaxBuffered, file.Length)];
    private long _bufferStart;
    private int _buffered;

    /// <summary>Where the next byte is.</summary>
    public long Position { get; private set; }

    private long Left => file.Length - Position;

    public InvalidDataException Bad(string message) => new($"{file.Path}: {message}");

    public uint U32(string what)
    {
        Fill(_number.AsSpan(0, 4), what);
        return BinaryPrimitives.ReadUInt32LittleEndian(_number);
    }

    public ulong U64(string what)
    {
        Fill(_number, what);
        return BinaryPrimitives.ReadUInt64LittleEndian(_number);
    }

    /// <summary>A number of things of which each takes <paramref name="minBytes"/> bytes of the file at least.</summary>
    public int Count(string what, int minBytes)
    {
        var count = U64(what);
        return count <= (ulong)Math.Min(Left / minBytes, int.MaxValue)
            ? (int)count
            : throw Bad($"{what} is {count}; the {Left} bytes that follow hold {Left / minBytes} at most");
    }

    /// <summary>A name of a key or tensor.</summary>
    public string Name(string what)
    {
        var name = Text(what);
        return name.Length is > 0 and <= LongestName
            ? name
            : throw Bad($"{what} has {name.Length} characters; allowed: 1 to {LongestName}");
    }

    public string Text(string what)
    {
        var bytes = new byte[Count($"the length of {what}", 1)];
        Fill(bytes, what);
        try
        {
            return s_utf8.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            // Vocabularies are known to hold byte strings that are no text; what cannot be read is marked and kept in length.
            return Encoding.UTF8.GetString(bytes);
        }
    }

    public GgufValue Value(string key)
    {
        var type = ValueType(key);
        if (type != GgufValueType.Array) return new GgufValue(type, Content(type, key));
        var (items, itemType) = Items(key, 0);
        return new GgufValue(type, items, itemType);
    }

    private GgufValueType ValueType(string key)
    {
        var type = U32($"the type of '{key}'");
        return type <= (uint)GgufValueType.F64
            ? (GgufValueType)type
            : throw Bad($"the value of '{key}' has the type {type}; allowed: 0 to {(int)GgufValueType.F64}");
    }

    private (Array Items, GgufValueType ItemType) Items(string key, int depth)
    {
        if (depth == MaxNesting) throw Bad($"the value of '{key}' is nested more than {MaxNesting} deep");
        var type = ValueType(key);
        var count = Count($"the number of items of '{key}'", Size(type));
        if (count > int.MaxValue / Size(type)) throw Bad($"'{key}' has {count} items; allowed: up to {int.MaxValue / Size(type)}");
        return (type switch
        {
            GgufValueType.U8 => Numbers<byte>(count, key),
            GgufValueType.I8 => Numbers<sbyte>(count, key),
            GgufValueType.U16 => Numbers<ushort>(count, key),
            GgufValueType.I16 => Numbers<short>(count, key),
            GgufValueType.U32 => Numbers<uint>(count, key),
            GgufValueType.I32 => Numbers<int>(count, key),
            GgufValueType.U64 => Numbers<ulong>(count, key),
            GgufValueType.I64 => Numbers<long>(count, key),
            GgufValueType.F32 => Numbers<float>(count, key),
            GgufValueType.F64 => Numbers<double>(count, key),
            GgufValueType.Bool => Array.ConvertAll(Numbers<byte>(count, key), value => Truth(value, key)),
            GgufValueType.String => Many(count, () => Text($"the value of '{key}'")),
            _ => Many(count, () => Items(key, depth + 1).Items),
        }, type);
    }

    private T[] Numbers<T>(int count, string key) where T : unmanaged
    {
        var numbers = new T[count];
        Fill(MemoryMarshal.AsBytes(numbers.AsSpan()), $"the value of '{key}'"); // little-endian, as the machines that this runs on
        return numbers;
    }

    private static T[] Many<T>(int count, Func<T> next)
    {
        var items = new T[count];
        for (var i = 0; i < count; i++) items[i] = next();
        return items;
    }

    private bool Truth(byte value, string key) =>
        value <= 1 ? value == 1 : throw Bad($"the value of '{key}' is {value}; allowed for a truth value: 0 or 1");

    private object Content(GgufValueType type, string key)
    {
        if (type == GgufValueType.String) return Text($"the value of '{key}'");
        var bytes = _number.AsSpan(0, Size(type));
        Fill(bytes, $"the value of '{key}'");
        return type switch
        {
            GgufValueType.U8 => (ulong)bytes[0],
            GgufValueType.I8 => (long)(sbyte)bytes[0],
            GgufValueType.U16 => (ulong)BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            GgufValueType.I16 => (long)BinaryPrimitives.ReadInt16LittleEndian(bytes),
            GgufValueType.U32 => (ulong)BinaryPrimitives.ReadUInt32LittleEndian(bytes),
            GgufValueType.I32 => (long)BinaryPrimitives.ReadInt32LittleEndian(bytes),
            GgufValueType.F32 => (double)BinaryPrimitives.ReadSingleLittleEndian(bytes),
            GgufValueType.Bool => Truth(bytes[0], key),
            GgufValueType.U64 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
            GgufValueType.I64 => BinaryPrimitives.ReadInt64LittleEndian(bytes),
            _ => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        };
    }

    /// <summary>The fewest bytes a value takes.</summary>
    private static int Size(GgufValueType type) => type switch
    {
        GgufValueType.U8 or GgufValueType.I8 or GgufValueType.Bool => 1,
        GgufValueType.U16 or GgufValueType.I16 => 2,
        GgufValueType.U32 or GgufValueType.I32 or GgufValueType.F32 => 4,
        GgufValueType.Array => 12,
        _ => 8,
    };

    private void Fill(Span<byte> bytes, string what)
    {
        if (bytes.Length > Left)
            throw Bad($"is cut short: {what} takes {bytes.Length} bytes from byte {Position} on, the file has {file.Length}");
        if (bytes.Length > _buffer.Length) file.Read(bytes, Position);
        else Buffered(bytes.Length).CopyTo(bytes);
        Position += bytes.Length;
    }

    /// <summary>The next bytes, read ahead, since most of what a header holds is short.</summary>
    private ReadOnlySpan<byte> Buffered(int count)
    {
        if (Position + count > _bufferStart + _buffered)
        {
            (_bufferStart, _buffered) = (Position, (int)Math.Min(_buffer.Length, Left));
            file.Read(_buffer.AsSpan(0, _buffered), Position);
        }

        return _buffer.AsSpan((int)(Position - _bufferStart), count);
    }
}
