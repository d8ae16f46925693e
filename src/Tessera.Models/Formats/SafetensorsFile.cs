using System.Buffers.Binary;
using Tessera.Text.Files;

namespace Tessera.Models.Formats;

/// <summary>
/// A safetensors file, open for reading. The header is checked throughout, since files come from strangers: names differ, sizes
/// are what shapes and types say, and the tensors fill the file without overlap or hole.
/// <para>The format: <see href="https://github.com/huggingface/safetensors#format"/>.</para>
/// </summary>
public sealed class SafetensorsFile : TensorSource
{
    private const int LengthBytes = sizeof(ulong);

    private readonly StoredFile _file;
    private readonly SafetensorsHeader _header;

    private SafetensorsFile(StoredFile file) : base(file.Path)
    {
        _file = file;
        if (file.Length < LengthBytes)
            throw new InvalidDataException($"{Path}: has {file.Length} bytes; a safetensors file has at least {LengthBytes}");
        Span<byte> count = stackalloc byte[LengthBytes];
        file.Read(count, 0);
        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(count);
        var max = Math.Min(SafetensorsHeader.MaximumBytes, file.Length - LengthBytes);
        if (headerBytes > (ulong)max)
            throw new InvalidDataException(
                $"{Path}: the header claims {headerBytes} bytes; allowed in a file of {file.Length} bytes: {max}");
        var header = new byte[headerBytes];
        file.Read(header, LengthBytes);
        DataStart = LengthBytes + header.Length;
        _header = SafetensorsHeader.Parse(Path, header, file.Length - DataStart);
        Tensors = _header.Entries.ToDictionary(
            entry => entry.Key,
            entry => new StoredTensor(
                entry.Key, entry.Value.Type.Name(), entry.Value.Shape, entry.Value.ByteCount, entry.Value.Type.Element()),
            StringComparer.Ordinal);
    }

    /// <summary>Where the bytes of tensors begin in the file: <see cref="SafetensorsEntry.Offset"/> counts from here.</summary>
    public long DataStart { get; }

    /// <summary>The tensors by name, as the header has them.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => _header.Entries;

    /// <summary>The strings under <c>__metadata__</c>; empty where there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Opens a file.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not a whole and valid safetensors file; the message names the tensor, what was
    /// found and what is allowed.</exception>
    public static SafetensorsFile Open(string path)
    {
        FileKinds.Require(path, FileKind.Safetensors, "a safetensors file");
        var file = StoredFile.Open(path);
        try
        {
            return new SafetensorsFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();

    private protected override (StoredFile File, long Position) Place(string name) => (_file, DataStart + Entries[name].Offset);

    /// <summary>As <see cref="Place"/>, for the folder that this is a shard of.</summary>
    internal (StoredFile File, long Position) PlaceOf(string name) => Place(name);
}
