using System.Numerics;
using Tessera.Text.Files;

namespace Tessera.Models.Formats.Gguf;

/// <summary>
/// A GGUF file, open for reading, or several that one model was cut into. The header is checked throughout, since files come from
/// strangers.
/// <para>The format: <see href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"/>, versions 2 and 3, little-endian.</para>
/// </summary>
public sealed class GgufFile : TensorSource
{
    /// <summary>The first four bytes: <c>GGUF</c>.</summary>
    public const uint Magic = 0x46554747;

    /// <summary>What names of such files end with.</summary>
    internal const string Ending = ".gguf";

    internal const string AlignmentKey = "general.alignment";
    internal const int DefaultAlignment = 32;
    internal const string Alignments = "a power of two from 8 to 1048576";

    private const int MaxAxes = 4;

    private readonly StoredFile _file;
    private readonly Dictionary<string, GgufValue> _metadata = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GgufEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>The further parts of a split model, and which of them holds a tensor that this one does not.</summary>
    private readonly List<GgufFile> _further = [];
    private readonly Dictionary<string, GgufFile> _partOf = new(StringComparer.Ordinal);

    private GgufFile(StoredFile file) : base(file.Path)
    {
        _file = file;
        var reader = new GgufHeaderReader(file);
        ReadHeader(reader);
        DataStart = RoundUp(reader.Position, Alignment);
        RequireWithin(reader, file.Length - DataStart);
        Tensors = _entries.ToDictionary(
            entry => entry.Key,
            entry => new StoredTensor(
                entry.Key, entry.Value.Type.ToString(), entry.Value.Shape, entry.Value.ByteCount, entry.Value.Type.Element()),
            StringComparer.Ordinal);
    }

    /// <summary>The version of the format, 2 or 3.</summary>
    public int Version { get; private set; }

    /// <summary>What the places of tensors are multiples of.</summary>
    public int Alignment { get; private set; } = DefaultAlignment;

    /// <summary>Where the bytes of tensors begin in the file: <see cref="GgufEntry.Offset"/> counts from here.</summary>
    public long DataStart { get; }

    /// <summary>Keys and values, in the order of the file.</summary>
    public IReadOnlyDictionary<string, GgufValue> Metadata => _metadata;

    /// <summary>The tensors by name, as the header has them, in the order of the file; of a split model those of its first part.</summary>
    public IReadOnlyDictionary<string, GgufEntry> Entries => _entries;

    /// <summary>The files: one, or all parts of a split model.</summary>
    public IReadOnlyList<string> Files => [Path, .. _further.Select(part => part.Path)];

    /// <summary>Opens a file, with the other parts where it is one of several that hold one model together.</summary>
    /// <exception cref="FileNotFoundException">There is no such file, or other parts are missing.</exception>
    /// <exception cref="InvalidDataException">It is not a whole and valid GGUF file; the message names the key or tensor, what was found
    /// and what is allowed.</exception>
    public static GgufFile Open(string path)
    {
        var part = OpenPart(path);
        try
        {
            return GgufSplit.Whole(part);
        }
        catch
        {
            part.Dispose();
            throw;
        }
    }

    /// <summary>Opens a file alone, whatever it is a part of.</summary>
    internal static GgufFile OpenPart(string path)
    {
        FileKinds.Require(path, FileKind.Gguf, "a GGUF file");
        var file = StoredFile.Open(path);
        try
        {
            return new GgufFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A metadata value as a text, or null where there is none.</summary>
    /// <exception cref="InvalidDataException">It is of another type.</exception>
    public string? Text(string key) => !_metadata.TryGetValue(key, out var value) ? null
        : value.Content as string ?? throw Wrong(key, value, "a string");

    /// <summary>A metadata value as a whole number, or null where there is none.</summary>
    /// <exception cref="InvalidDataException">It is of another type, or does not fit.</exception>
    public long? Whole(string key) => !_metadata.TryGetValue(key, out var value) ? null : value.Content switch
    {
        long number => number,
        ulong number and <= long.MaxValue => (long)number,
        _ => throw Wrong(key, value, "a whole number"),
    };

    /// <summary>A metadata value as a number, or null where there is none.</summary>
    /// <exception cref="InvalidDataException">It is of another type.</exception>
    public double? Number(string key) => !_metadata.TryGetValue(key, out var value) ? null : value.Content switch
    {
        double number => number,
        long number => number,
        ulong number => number,
        _ => throw Wrong(key, value, "a number"),
    };

    /// <summary>A metadata value as a truth value, or null where there is none.</summary>
    /// <exception cref="InvalidDataException">It is of another type.</exception>
    public bool? Truth(string key) => !_metadata.TryGetValue(key, out var value) ? null
        : value.Content as bool? ?? throw Wrong(key, value, "a truth value");

    /// <inheritdoc/>
    public override void Dispose()
    {
        _file.Dispose();
        foreach (var part in _further) part.Dispose();
    }

    /// <summary>Takes the further parts of a split model: their tensors become its own.</summary>
    internal void Join(IReadOnlyList<GgufFile> parts)
    {
        _further.AddRange(parts);
        var all = new OrderedDictionary<string, StoredTensor>(Tensors, StringComparer.Ordinal);
        foreach (var part in parts)
        {
            foreach (var (name, tensor) in part.Tensors)
            {
                all.Add(name, tensor);
                _partOf.Add(name, part);
            }
        }

        Tensors = all;
    }

    private protected override (StoredFile File, long Position) Place(string name) =>
        _partOf.TryGetValue(name, out var part) ? part.Place(name) : (_file, DataStart + _entries[name].Offset);

    /// <summary>Whether the places of tensors may be multiples of a number: of <see cref="Alignments"/>.</summary>
    internal static bool IsAlignment(long alignment) => alignment is >= 8 and <= 1 << 20 && BitOperations.IsPow2(alignment);

    internal static long RoundUp(long count, long multiple) => (count + multiple - 1) / multiple * multiple;

    private void ReadHeader(GgufHeaderReader reader)
    {
        var magic = reader.U32("the magic number");
        if (magic != Magic) throw reader.Bad($"is no GGUF file: it begins with 0x{magic:X8}; expected 0x{Magic:X8}, 'GGUF'");
        var version = reader.U32("the version");
        if (version is not (2 or 3))
            throw reader.Bad(
                BitOperations.RotateLeft(version, 8) <= 0xFF
                    ? "is big-endian; only little-endian files can be read"
                    : $"has version {version} of GGUF; allowed: 2, 3");
        Version = (int)version;
        var tensors = reader.Count("the number of tensors", minBytes: 33);
        var keys = reader.Count("the number of metadata keys", minBytes: 14);
        for (var i = 0; i < keys; i++)
        {
            var key = reader.Name($"the name of metadata key {i}");
            if (!_metadata.TryAdd(key, reader.Value(key))) throw reader.Bad($"has the metadata key '{key}' twice");
        }

        if (_metadata.ContainsKey(AlignmentKey)) Alignment = CheckedAlignment(reader);
        for (var i = 0; i < tensors; i++)
        {
            var entry = ReadEntry(reader, i);
            if (!_entries.TryAdd(entry.Name, entry)) throw reader.Bad($"has two tensors named '{entry.Name}'");
        }
    }

    private int CheckedAlignment(GgufHeaderReader reader) => Whole(AlignmentKey) is { } alignment && IsAlignment(alignment)
        ? (int)alignment
        : throw reader.Bad($"{AlignmentKey} is {_metadata[AlignmentKey]}; allowed: {Alignments}");

    private static GgufEntry ReadEntry(GgufHeaderReader reader, int index)
    {
        var name = reader.Name($"the name of tensor {index}");
        var axes = reader.U32($"the number of axes of tensor '{name}'");
        if (axes is 0 or > MaxAxes) throw reader.Bad($"tensor '{name}' has {axes} axes; allowed: 1 to {MaxAxes}");
        var shape = new long[axes];
        for (var axis = (int)axes - 1; axis >= 0; axis--)
        {
            var size = reader.U64($"a size of tensor '{name}'");
            shape[axis] = size <= long.MaxValue
                ? (long)size
                : throw reader.Bad($"tensor '{name}' has a size of {size}; allowed: up to {long.MaxValue}");
        }

        var type = (GgufType)reader.U32($"the type of tensor '{name}'");
        if (!type.IsKnown())
            throw reader.Bad(
                $"tensor '{name}' has the type {(uint)type}, which is not known; allowed: {string.Join(", ", Enum.GetNames<GgufType>())}");
        var offset = reader.U64($"the place of tensor '{name}'");
        if (offset > long.MaxValue) throw reader.Bad($"tensor '{name}' begins at {offset}; allowed: up to {long.MaxValue}");
        if (shape[^1] % type.BlockValues() != 0)
            throw reader.Bad($"tensor '{name}' {type} has rows of {shape[^1]} values; allowed: multiples of {type.BlockValues()}");
        return new GgufEntry(name, type, shape, (long)offset, ByteCount(reader, name, type, shape));
    }

    private static long ByteCount(GgufHeaderReader reader, string name, GgufType type, long[] shape)
    {
        try
        {
            var bytes = (long)type.BlockBytes();
            for (var axis = 0; axis < shape.Length; axis++)
                bytes = checked(bytes * (axis == shape.Length - 1 ? shape[axis] / type.BlockValues() : shape[axis]));
            return bytes;
        }
        catch (OverflowException)
        {
            throw reader.Bad($"tensor '{name}' {type} [{string.Join(", ", shape)}] has more than {long.MaxValue} bytes");
        }
    }

    /// <summary>Tensors lie at multiples of the alignment, within the file, none over another.</summary>
    private void RequireWithin(GgufHeaderReader reader, long dataBytes)
    {
        var end = 0L;
        foreach (var entry in _entries.Values.OrderBy(entry => entry.Offset).ThenBy(entry => entry.ByteCount))
        {
            if (entry.Offset % Alignment != 0)
                throw reader.Bad($"tensor {entry} begins at {entry.Offset}; allowed: multiples of the alignment, {Alignment}");
            if (entry.Offset < end) throw reader.Bad($"tensor {entry} begins at {entry.Offset}, where the one before it goes on to {end}");
            if (entry.Offset > dataBytes || entry.ByteCount > dataBytes - entry.Offset)
            {
                throw reader.Bad(
                    $"tensor {entry} takes {entry.ByteCount} bytes from {entry.Offset} on; "
                    + $"the file has {Math.Max(0, dataBytes)} after its header");
            }
            end = entry.Offset + entry.ByteCount;
        }
    }

    private InvalidDataException Wrong(string key, GgufValue value, string wanted) =>
        new($"{Path}: metadata '{key}' is {value} ({value.Type}); expected {wanted}");
}
