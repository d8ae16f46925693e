using System.Runtime.InteropServices;

namespace Tessera.Tensors;

/// <summary>A block of native memory, aligned to <see cref="Alignment"/> bytes, freed when nothing refers to it. Nothing may
/// be read or written beyond its last byte: what lies there may be somebody else's, or no memory at all.</summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    public const int Alignment = 64;

    private readonly nint _zeroed;

    /// <summary>Where memory comes from instead of the system's heap. Tests set it once, before the first buffer, to lay each
    /// buffer against inaccessible pages; the arena then gives every block a buffer of its own.</summary>
    internal static (Func<long, nint> Take, Action<nint> Give)? Source { get; set; }

    public NativeBuffer(long bytes, bool zeroed = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        if (Source is { } source)
        {
            Address = source.Take(bytes);
            if (zeroed) NativeMemory.Clear((void*)Address, (nuint)bytes);
        }
        else if (zeroed)
        {
            _zeroed = (nint)NativeMemory.AllocZeroed((nuint)bytes + Alignment); // much memory is not touched for that, so what stays empty costs nothing
            Address = (_zeroed + Alignment - 1) & -Alignment;
        }
        else
        {
            Address = (nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), Alignment);
        }

        if (bytes > 0) GC.AddMemoryPressure(bytes);
        Bytes = bytes;
    }

    ~NativeBuffer() => Release();

    public nint Address { get; }

    public long Bytes { get; }

    /// <summary>Sees to it that a scratch buffer holds so many bytes; what it held before is lost where it grows.</summary>
    /// <returns>Its address.</returns>
    public static nint AtLeast(ref NativeBuffer? buffer, long bytes)
    {
        if (buffer is null || buffer.Bytes < bytes)
        {
            buffer?.Dispose();
            buffer = null; // should there be no memory for the next
            buffer = new NativeBuffer(bytes, zeroed: false);
        }

        return buffer.Address;
    }

    /// <summary>Frees the memory now; nothing may point into it.</summary>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (Source is { } source) source.Give(Address);
        else if (_zeroed != 0) NativeMemory.Free((void*)_zeroed);
        else NativeMemory.AlignedFree((void*)Address);
        if (Bytes > 0) GC.RemoveMemoryPressure(Bytes);
    }
}
