using System.Runtime.InteropServices;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors;

/// <summary>
/// A file mapped into memory, for tensors that are used where they lie. A file that is cut short meanwhile reads as zeros from its new end
/// on, and <see cref="RequireWhole"/> throws after that, where otherwise the system would end the process.
/// </summary>
public sealed class MappedMemory
{
    private static int s_made;

    private readonly SafeBuffer _map;
    private readonly string _path;
    private readonly int _entry;

    private MappedMemory(SafeBuffer map, string path, int entry) => (_map, _path, _entry) = (map, path, entry);

    /// <summary>Stops watching; the memory itself is unmapped after that, when its handle is.</summary>
    ~MappedMemory()
    {
        if (_entry >= 0) MappedFileGuard.Forget(_entry);
    }

    /// <summary>Whether files may be mapped here: where the system would end the process for one that is cut, it must be possible to
    /// catch that.</summary>
    public static bool IsSafe => OperatingSystem.IsWindows() || MappedFileGuard.IsAvailable;

    /// <summary>How many mappings there have been: who keeps a list of those it reads looks again when this changes.</summary>
    public static int Made => Volatile.Read(ref s_made);

    /// <summary>Where the mapping begins.</summary>
    public nint Address => _map.DangerousGetHandle();

    /// <summary>Watches a mapping; null where it cannot be watched and would not be safe to use.</summary>
    /// <param name="map">The memory, unmapped when nothing refers to it.</param>
    /// <param name="bytes">How long it is.</param>
    /// <param name="path">The file, for messages.</param>
    public static MappedMemory? Over(SafeBuffer map, long bytes, string path)
    {
        var entry = MappedFileGuard.Watch(map.DangerousGetHandle(), bytes);
        if (entry < 0 && !OperatingSystem.IsWindows()) return null;
        Interlocked.Increment(ref s_made);
        return new MappedMemory(map, path, entry);
    }

    /// <summary>Throws where the file was cut short while it was mapped: what was computed since may be wrong.</summary>
    /// <exception cref="InvalidDataException">It was.</exception>
    public void RequireWhole()
    {
        if (_entry >= 0 && MappedFileGuard.IsCut(_entry))
            throw new InvalidDataException($"{_path}: was cut short while it was in use; nothing can be computed with it any more");
        GC.KeepAlive(this); // its finalizer gives the entry to others
    }
}
