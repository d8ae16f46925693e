using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>A file of tensors, open for reading at any place, and mapped into memory once a view is wanted. What is copied out is
/// read, not mapped, so that a file that is cut short meanwhile is an error; where it is mapped, <see cref="MappedMemory"/> sees to
/// that.</summary>
internal sealed class StoredFile(string path, SafeFileHandle handle) : IDisposable
{
    private readonly Lock _mapping = new();
    private MappedMemory? _map;
    private bool _isRead;

    /// <summary>The file.</summary>
    public string Path => path;

    /// <summary>How many bytes it had when it was opened.</summary>
    public long Length { get; } = RandomAccess.GetLength(handle);

    /// <summary>Opens a file; others may replace it meanwhile.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static StoredFile Open(string path) =>
        new(path, File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete));

    /// <summary>Copies bytes; any number of threads may at once.</summary>
    /// <exception cref="InvalidDataException">The file ends before them.</exception>
    public void Read(Span<byte> destination, long position)
    {
        while (!destination.IsEmpty)
        {
            var count = RandomAccess.Read(handle, destination, position);
            if (count == 0) throw new InvalidDataException($"{path}: was cut short, at byte {position}, while it was open");
            destination = destination[count..];
            position += count;
        }
    }

    /// <summary>A tensor over the mapped file, which stays mapped as long as something refers to the tensor; a copy where files cannot
    /// safely be mapped.</summary>
    public Tensor View(long position, Shape shape, ElementType type)
    {
        if (Map() is { } map) return Tensor.Over(checked(map.Address + (nint)position), shape, type, map);
        var copy = Tensor.Allocate(shape, type);
        Read(copy.Bytes, position);
        return copy;
    }

    /// <summary>Closes the file; what views need stays.</summary>
    public void Dispose() => handle.Dispose();

    /// <summary>The mapped file, mapped once; null where it is to be read instead.</summary>
    private MappedMemory? Map()
    {
        lock (_mapping)
        {
            if (_map is not null || _isRead) return _map;
            _isRead = !MappedMemory.IsSafe;
            if (_isRead) return null;
            using var file = MemoryMappedFile.CreateFromFile(
                handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            var view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read).SafeMemoryMappedViewHandle;
            _map = MappedMemory.Over(view, Length, path); // unmaps when nothing refers to it
            _isRead = _map is null;
            return _map;
        }
    }
}
