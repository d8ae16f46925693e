using System.Runtime.InteropServices;

namespace Tessera.Tensors;

/// <summary>A block of native memory, aligned to <see cref="Alignment"/> bytes, freed when nothing refers to it.</summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    public const int Alignment = 64;

    public NativeBuffer(long bytes, bool zeroed = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Bytes = bytes;
        // Kernels may read whole vectors past the last element of a row, never past the padding.
        Address = (nint)NativeMemory.AlignedAlloc((nuint)bytes + Alignment, Alignment);
        if (zeroed) NativeMemory.Clear((void*)Address, (nuint)bytes + Alignment);
        if (bytes > 0) GC.AddMemoryPressure(bytes);
    }

    ~NativeBuffer() => Release();

    public nint Address { get; }

    public long Bytes { get; }

    /// <summary>Frees the memory now; nothing may point into it.</summary>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        NativeMemory.AlignedFree((void*)Address);
        if (Bytes > 0) GC.RemoveMemoryPressure(Bytes);
    }
}
