using System.Text;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// Writes a GGUF file, version 3, little-endian. Tensors are named first and read while the file is written, one after
/// the other, so that nothing is held twice.
/// <para>The format: <see href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"/>.</para>
/// </summary>
public sealed class GgufWriter
{
    private readonly List<Pending> _tensors = [];
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    /// <summary>Keys and values, written in this order.</summary>
    public OrderedDictionary<string, GgufValue> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>What the places of tensors are multiples of: <c>general.alignment</c>, or 32.</summary>
    private int Alignment
    {
        get
        {
            if (!Metadata.TryGetValue(GgufFile.AlignmentKey, out var value)) return GgufFile.DefaultAlignment;
            return value is { Type: GgufValueType.U32, Content: ulong and <= int.MaxValue and var alignment }
                && GgufFile.IsAlignment((long)alignment)
                ? (int)alignment
                : throw new InvalidOperationException(
                    $"{GgufFile.AlignmentKey} is {value} ({value.Type}); allowed: {GgufFile.Alignments}, as {GgufValueType.U32}");
        }
    }

    /// <summary>Adds a tensor whose bytes are written when it is its turn.</summary>
    /// <param name="name">The name.</param>
    /// <param name="type">What an element is.</param>
    /// <param name="shape">The sizes, outermost first: 1 to 4, none negative, the last a multiple of the type's block.</param>
    /// <param name="write">Writes exactly the tensor's bytes.</param>
    /// <exception cref="ArgumentException">The name is taken, or the shape is not allowed.</exception>
    public void Add(string name, GgufType type, ReadOnlySpan<long> shape, Action<Stream> write)
    {
        if (shape.Length is 0 or > 4)
            throw new ArgumentException($"tensor '{name}' has {shape.Length} axes; allowed: 1 to 4", nameof(shape));
        foreach (var size in shape) ArgumentOutOfRangeException.ThrowIfNegative(size, nameof(shape));
        if (shape[^1] % type.BlockValues() != 0)
            throw new ArgumentException(
                $"tensor '{name}' {type} has rows of {shape[^1]} values; allowed: multiples of {type.BlockValues()}", nameof(shape));
        if (!_names.Add(name)) throw new ArgumentException($"two tensors are named '{name}'", nameof(name));
        _tensors.Add(new Pending(name, type, shape.ToArray(), write));
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
    /// <exception cref="InvalidOperationException">A tensor's own writer wrote another number of bytes than its shape has, or
    /// <c>general.alignment</c> is not allowed.</exception>
    public void Write(Stream stream, IProgress<(long Written, long All)>? progress = null, CancellationToken cancellation = default)
    {
        var header = Header();
        stream.Write(header);
        Pad(stream, header.Length);
        var all = _tensors.Sum(tensor => tensor.ByteCount);
        var written = 0L;
        foreach (var tensor in _tensors)
        {
            var counted = new CountedStream(stream, cancellation);
            tensor.Write(counted);
            if (counted.Written != tensor.ByteCount)
                throw new InvalidOperationException(
                    $"the writer of tensor '{tensor.Name}' wrote {counted.Written} bytes instead of {tensor.ByteCount}");
            Pad(stream, tensor.ByteCount);
            progress?.Report((written += tensor.ByteCount, all));
        }
    }

    private byte[] Header()
    {
        using var buffer = new MemoryStream();
        using var writer = new BinaryWriter(buffer, Encoding.UTF8);
        writer.Write(GgufFile.Magic);
        writer.Write(3u);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)Metadata.Count);
        foreach (var (key, value) in Metadata)
        {
            WriteText(writer, key);
            writer.Write((uint)value.Type);
            WriteContent(writer, value.Type, value.ItemType, value.Content);
        }

        var offset = 0L;
        foreach (var tensor in _tensors)
        {
            WriteText(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Length);
            for (var axis = tensor.Shape.Length - 1; axis >= 0; axis--) writer.Write((ulong)tensor.Shape[axis]);
            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset = GgufFile.RoundUp(offset + tensor.ByteCount, Alignment);
        }

        writer.Flush();
        return buffer.ToArray();
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void WriteContent(BinaryWriter writer, GgufValueType type, GgufValueType itemType, object content)
    {
        switch (type)
        {
            case GgufValueType.String: WriteText(writer, (string)content); break;
            case GgufValueType.Bool: writer.Write((bool)content); break;
            case GgufValueType.U8: writer.Write((byte)(ulong)content); break;
            case GgufValueType.I8: writer.Write((sbyte)(long)content); break;
            case GgufValueType.U16: writer.Write((ushort)(ulong)content); break;
            case GgufValueType.I16: writer.Write((short)(long)content); break;
            case GgufValueType.U32: writer.Write((uint)(ulong)content); break;
            case GgufValueType.I32: writer.Write((int)(long)content); break;
            case GgufValueType.U64: writer.Write((ulong)content); break;
            case GgufValueType.I64: writer.Write((long)content); break;
            case GgufValueType.F32: writer.Write((float)(double)content); break;
            case GgufValueType.F64: writer.Write((double)content); break;
            default:
                if (itemType == GgufValueType.Array)
                    throw new NotSupportedException("arrays of arrays are not written; no known key has one");
                var items = new GgufValue(type, content, itemType).Items;
                writer.Write((uint)itemType);
                writer.Write((ulong)items.Count);
                foreach (var item in items) WriteContent(writer, itemType, default, item);
                break;
        }
    }

    private void Pad(Stream stream, long written)
    {
        for (var left = GgufFile.RoundUp(written, Alignment) - written; left > 0; left--) stream.WriteByte(0);
    }

    private sealed record Pending(string Name, GgufType Type, long[] Shape, Action<Stream> Write)
    {
        public long ByteCount { get; } = Shape[..^1].Aggregate(
            Shape[^1] / Type.BlockValues() * Type.BlockBytes(), (bytes, size) => checked(bytes * size));
    }
}
