using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>A file of tensors, open for reading at any place, and mapped into memory once a view is wanted. What is copied out is
/// read, not mapped, so that a file that is cut short meanwhile is an error and not the end of the process.</summary>
internal sealed class StoredFile(string path, SafeFileHandle handle) : IDisposable
{
    private readonly Lock _mapping = new();
    private SafeBuffer? _map;

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

    /// <summary>A tensor over the mapped file, which stays mapped as long as something refers to the tensor.</summary>
    public Tensor View(long position, Shape shape, ElementType type)
    {
        var map = Map();
        return Tensor.Over(checked(map.DangerousGetHandle() + (nint)position), shape, type, map);
    }

    /// <summary>Closes the file; what views need stays.</summary>
    public void Dispose() => handle.Dispose();

    private SafeBuffer Map()
    {
        lock (_mapping)
        {
            if (_map is not null) return _map;
            using var file = MemoryMappedFile.CreateFromFile(
                handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            return _map = file.CreateViewAccessor(0, 0,
                MemoryMappedFileAccess.Read).SafeMemoryMappedViewHandle; // unmaps when nothing refers to it
        }
    }
}
