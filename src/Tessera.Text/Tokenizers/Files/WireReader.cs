using System.Buffers.Binary;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// The fields of a message in the wire format of protocol buffers, one after the other:
/// <see href="https://protobuf.dev/programming-guides/encoding/"/>. Messages within messages are read by readers of their
/// own.
/// </summary>
internal ref struct WireReader(string file, ReadOnlySpan<byte> message)
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private ReadOnlySpan<byte> _rest = message;
    private int _wireType;
    private ulong _number;
    private ReadOnlySpan<byte> _bytes;

    /// <summary>The number of the field that was read.</summary>
    public int Field { get; private set; }

    /// <summary>The field as bytes: a text, or a message within this.</summary>
    public readonly ReadOnlySpan<byte> Bytes => _wireType == 2 ? _bytes : throw Wrong("bytes");

    /// <summary>The field as a whole number.</summary>
    public readonly int Whole => _wireType == 0 ? unchecked((int)_number) : throw Wrong("a whole number");

    /// <summary>The field as a truth value.</summary>
    public readonly bool Truth => Whole != 0;

    /// <summary>The field as a number of 32 bits.</summary>
    public readonly float Single => _wireType == 5 ? BitConverter.UInt32BitsToSingle((uint)_number) : throw Wrong("a number of 32 bits");

    /// <summary>The field as a text.</summary>
    public readonly string Text
    {
        get
        {
            try
            {
                return _strict.GetString(Bytes);
            }
            catch (DecoderFallbackException error)
            {
                throw new InvalidDataException($"{file}: field {Field} is no valid UTF-8.", error);
            }
        }
    }

    /// <summary>Goes to the next field, if there is one.</summary>
    /// <exception cref="InvalidDataException">The message is cut short or damaged.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty) return false;
        var key = Varint();
        (Field, _wireType) = ((int)(key >> 3 & int.MaxValue), (int)(key & 7));
        switch (_wireType)
        {
            case 0:
                _number = Varint();
                break;
            case 1:
                _number = BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));
                break;
            case 2:
                _bytes = Take(Varint());
                break;
            case 5:
                _number = BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));
                break;
            default:
                throw new InvalidDataException($"{file}: field {Field} has wire type {_wireType}; allowed: 0, 1, 2, 5.");
        }

        return true;
    }

    private ulong Varint()
    {
        var value = 0ul;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80) return value;
        }

        throw new InvalidDataException($"{file}: a number has more than 64 bits.");
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)_rest.Length)
            throw new InvalidDataException($"{file} is cut short: {count} bytes should follow, {_rest.Length} do.");
        var taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }

    private readonly InvalidDataException Wrong(string expected) =>
        new($"{file}: field {Field} has wire type {_wireType}; expected {expected}.");
}
