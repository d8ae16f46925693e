using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tessera.Models.Formats;

/// <summary>
/// A safetensors file, open for reading: to open it costs its header, tensors are read when they are asked for. Any
/// number of threads may read at once. The header is checked throughout, since files come from strangers: names differ,
/// sizes are what shapes and types say, and the tensors fill the file without overlap or hole.
/// <para>The format: <see href="https://github.com/huggingface/safetensors#format"/>.</para>
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    private const int LengthBytes = sizeof(ulong);
    private const int PieceElements = 1 << 18;

    private readonly SafeFileHandle _file;
    private readonly SafetensorsHeader _header;

    private SafetensorsFile(string path, SafeFileHandle file)
    {
        (Path, _file) = (path, file);
        var length = RandomAccess.GetLength(file);
        if (length < LengthBytes) throw new InvalidDataException($"{path}: has {length} bytes; a safetensors file has at least {LengthBytes}");
        Span<byte> count = stackalloc byte[LengthBytes];
        ReadFully(count, 0);
        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(count);
        var most = Math.Min(SafetensorsHeader.MaximumBytes, length - LengthBytes);
        if (headerBytes > (ulong)most)
            throw new InvalidDataException($"{path}: the header claims {headerBytes} bytes; allowed in a file of {length} bytes: {most}");
        var header = new byte[headerBytes];
        ReadFully(header, LengthBytes);
        DataStart = LengthBytes + header.Length;
        _header = SafetensorsHeader.Parse(path, header, length - DataStart);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Where the bytes of tensors begin in the file: <see cref="SafetensorsEntry.Offset"/> counts from here.</summary>
    public long DataStart { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors => _header.Entries;

    /// <summary>The strings under <c>__metadata__</c>; empty where there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>What the header says of one tensor.</summary>
    /// <exception cref="InvalidDataException">The file has no such tensor.</exception>
    public SafetensorsEntry this[string name] => Tensors.TryGetValue(name, out var entry)
        ? entry
        : throw new InvalidDataException($"{Path}: there is no tensor '{name}' among the {Tensors.Count} here");

    /// <summary>Opens a file.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not a whole and valid safetensors file; the message names the tensor, what was
    /// found and what is allowed.</exception>
    public static SafetensorsFile Open(string path)
    {
        var file = File.OpenHandle(path);
        try
        {
            return new SafetensorsFile(path, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Copies bytes of a tensor as they are in the file.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">Is filled.</param>
    /// <param name="offset">Where in the tensor to begin, in bytes.</param>
    /// <exception cref="InvalidDataException">The file has no such tensor.</exception>
    /// <exception cref="ArgumentException">The tensor has fewer bytes from the offset on.</exception>
    public void ReadBytes(string name, Span<byte> destination, long offset = 0)
    {
        var entry = this[name];
        if (offset < 0 || offset > entry.ByteCount - destination.Length)
            throw new ArgumentException($"{destination.Length} bytes from {offset} on are not within the {entry.ByteCount} bytes of tensor {entry}", nameof(destination));
        ReadFully(destination, DataStart + entry.Offset + offset);
    }

    /// <summary>Copies a tensor of floats, converted to binary32 where it holds F16, BF16 (both exact) or F64 (rounded).</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">As many elements as the tensor has, row-major.</param>
    /// <exception cref="InvalidDataException">The file has no such tensor, or it does not hold floats of these types.</exception>
    /// <exception cref="ArgumentException">The destination has another number of elements.</exception>
    public void ReadFloats(string name, Span<float> destination)
    {
        var entry = this[name];
        if (destination.Length != entry.Count)
            throw new ArgumentException($"{destination.Length} floats do not hold the {entry.Count} elements of tensor {entry}", nameof(destination));
        if (entry.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64))
            throw new InvalidDataException($"{Path}: tensor {entry} does not hold floats; allowed: F16, BF16, F32, F64");

        // Piece by piece, so that what is read fits a buffer, and a span of bytes, however large the tensor is.
        var buffer = entry.Type == SafetensorsType.F32 ? [] : new byte[Math.Min(entry.ByteCount, (long)PieceElements * entry.Type.Size())];
        for (var start = 0; start < destination.Length; start += PieceElements)
        {
            var part = destination.Slice(start, Math.Min(PieceElements, destination.Length - start));
            var bytes = entry.Type == SafetensorsType.F32 ? MemoryMarshal.AsBytes(part) : buffer.AsSpan(0, part.Length * entry.Type.Size());
            ReadFully(bytes, DataStart + entry.Offset + ((long)start * entry.Type.Size()));
            Convert(entry.Type, bytes, part);
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private static void Convert(SafetensorsType type, ReadOnlySpan<byte> from, Span<float> to)
    {
        switch (type)
        {
            case SafetensorsType.F16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(from), to);
                break;
            case SafetensorsType.BF16:
                var halves = MemoryMarshal.Cast<byte, ushort>(from);
                for (var i = 0; i < to.Length; i++) to[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
                break;
            case SafetensorsType.F64:
                TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, double>(from), to);
                break;
        }
    }

    private void ReadFully(Span<byte> destination, long position)
    {
        while (!destination.IsEmpty)
        {
            var count = RandomAccess.Read(_file, destination, position);
            if (count == 0) throw new InvalidDataException($"{Path}: was cut short, at byte {position}, while it was open");
            destination = destination[count..];
            position += count;
        }
    }
}
