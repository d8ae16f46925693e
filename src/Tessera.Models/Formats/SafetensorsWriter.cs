using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>
/// Writes a safetensors file, byte for byte as the reference implementation would: tensors by type, widest first, then
/// by name; the header filled up with spaces to a multiple of 8. Tensors are named first and read while the file is
/// written, one after the other, so that nothing is held twice.
/// <para>The format: <see href="https://github.com/huggingface/safetensors#format"/>.</para>
/// </summary>
public sealed class SafetensorsWriter
{
    private const int Piece = 1 << 18;

    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Dictionary<string, Pending> _tensors = new(StringComparer.Ordinal);

    /// <summary>Strings to write under <c>__metadata__</c>, in order of their keys; none leaves it out.</summary>
    public IDictionary<string, string> Metadata { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>The size of the file to be written.</summary>
    public long ByteCount => Header(InOrder()).Length + _tensors.Values.Sum(tensor => tensor.Type.Bytes(tensor.Shape));

    /// <summary>Adds a tensor of Tessera of a type that the format has: F32, F16, BF16 or I32. It must live, unchanged, until the file is
    /// written.</summary>
    /// <exception cref="ArgumentException">The name is taken or <c>__metadata__</c>, or the tensor is quantized.</exception>
    public void Add(string name, Tensor tensor) => Add(name, TypeOf(name, tensor.Type), [.. tensor.Shape.AsSpan().ToArray()], stream =>
    {
        // Piece by piece, as streams like it.
        for (var bytes = tensor.Bytes; !bytes.IsEmpty; bytes = bytes[Math.Min(Piece, bytes.Length)..])
            stream.Write(bytes[..Math.Min(Piece, bytes.Length)]);
        GC.KeepAlive(tensor); // a span does not keep its memory
    });

    /// <summary>Adds a tensor of a model under a file's name for it; it is read when it is its turn.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="type">What it is written as: F32, F16 or BF16.</param>
    /// <exception cref="ArgumentException">The name is taken or <c>__metadata__</c>, or the type is another.</exception>
    internal void Add(OutgoingTensor tensor, ElementType type) =>
        Add(tensor.Name, TypeOf(tensor.Name, type), [.. tensor.Shape], stream => tensor.WriteTo(stream, type));

    /// <summary>Adds a tensor of any type whose bytes are written when it is its turn.</summary>
    /// <param name="name">The full name.</param>
    /// <param name="type">What an element is.</param>
    /// <param name="shape">The sizes, none negative.</param>
    /// <param name="write">Writes exactly the tensor's bytes, row-major and little-endian.</param>
    /// <exception cref="ArgumentException">The name is taken or <c>__metadata__</c>, or a size is negative.</exception>
    public void Add(string name, SafetensorsType type, ReadOnlySpan<long> shape, Action<Stream> write)
    {
        if (name == "__metadata__") throw new ArgumentException("'__metadata__' cannot be the name of a tensor", nameof(name));
        foreach (var size in shape) ArgumentOutOfRangeException.ThrowIfNegative(size, nameof(shape));
        if (!_tensors.TryAdd(name, new Pending(name, type, shape.ToArray(), write)))
            throw new ArgumentException($"two tensors are named '{name}'", nameof(name));
    }

    /// <summary>Writes the file, over one that may be there: it appears under its name only when it is whole and on the disk.</summary>
    /// <param name="path">The file.</param>
    /// <param name="progress">Is told the bytes of tensors written so far and in all; may be null.</param>
    /// <param name="cancellation">Stops it, within a tensor, too.</param>
    /// <exception cref="IOException">It cannot be written; what was there before is still there.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; what was there before is still there.</exception>
    public void Save(string path, IProgress<(long Written, long All)>? progress = null, CancellationToken cancellation = default) =>
        WholeFile.Write(path, stream => Write(stream, progress, cancellation));

    /// <summary>Writes the file to a stream, front to back.</summary>
    public void Write(Stream stream) => Write(stream, progress: null);

    /// <inheritdoc cref="Write(Stream)"/>
    /// <param name="stream">Where to.</param>
    /// <param name="progress">Is told the bytes of tensors written so far and in all; may be null.</param>
    /// <param name="cancellation">Stops it, within a tensor, too.</param>
    /// <exception cref="InvalidOperationException">A tensor's own writer wrote another number of bytes than its shape has.</exception>
    public void Write(Stream stream, IProgress<(long Written, long All)>? progress, CancellationToken cancellation = default)
    {
        var order = InOrder();
        stream.Write(Header(order));
        var (written, all) = (0L, order.Sum(tensor => tensor.Type.Bytes(tensor.Shape)));
        foreach (var (name, type, shape, write) in order)
        {
            var counted = new CountedStream(stream, cancellation);
            write(counted);
            if (counted.Written != type.Bytes(shape))
                throw new InvalidOperationException(
                    $"the writer of tensor '{name}' wrote {counted.Written} bytes instead of {type.Bytes(shape)}");
            progress?.Report((written += counted.Written, all));
        }
    }

    private List<Pending> InOrder() =>
        [.. _tensors.Values.OrderByDescending(tensor => tensor.Type).ThenBy(tensor => tensor.Name, StringComparer.Ordinal)];

    private byte[] Header(List<Pending> tensors)
    {
        var buffer = new MemoryStream();
        buffer.Write(stackalloc byte[sizeof(ulong)]);
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            if (Metadata.Count > 0) WriteMetadata(json);
            var end = 0L;
            foreach (var tensor in tensors) WriteEntry(json, tensor, ref end);
            json.WriteEndObject();
        }

        while (buffer.Length % sizeof(ulong) != 0) buffer.WriteByte((byte)' ');
        var header = buffer.ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)(header.Length - sizeof(ulong)));
        return header;
    }

    private void WriteMetadata(Utf8JsonWriter json)
    {
        json.WriteStartObject("__metadata__");
        foreach (var (key, value) in Metadata) json.WriteString(key, value);
        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, Pending tensor, ref long end)
    {
        var begin = end;
        end = checked(begin + tensor.Type.Bytes(tensor.Shape));
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype", tensor.Type.Name());
        json.WriteStartArray("shape");
        foreach (var size in tensor.Shape) json.WriteNumberValue(size);
        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(begin);
        json.WriteNumberValue(end);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static SafetensorsType TypeOf(string name, ElementType type) => type switch
    {
        ElementType.F32 => SafetensorsType.F32,
        ElementType.F16 => SafetensorsType.F16,
        ElementType.BF16 => SafetensorsType.BF16,
        ElementType.I32 => SafetensorsType.I32,
        _ => throw new ArgumentException(
            $"tensor '{name}' is {type}, which a safetensors file cannot hold; allowed: F32, F16, BF16, I32", nameof(type)),
    };

    private sealed record Pending(string Name, SafetensorsType Type, long[] Shape, Action<Stream> Write);
}
