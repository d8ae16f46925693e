using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>What assembled code asks of Linux.</summary>
internal static unsafe partial class LinuxPages
{
    private const int Read = 1, Write = 2, Execute = 4, Private = 2, Anonymous = 0x20;

    // asm/prctl.h and arch/x86: which state components a process may use is asked for once.
    private const long ArchPrctl = 158, RequestPermission = 0x1023, TileData = 18;

    /// <summary>As <see cref="ExecutablePages.Place"/>.</summary>
    /// <exception cref="InvalidOperationException">The system refuses.</exception>
    public static nint Place(ReadOnlySpan<byte> code)
    {
        var bytes = (nuint)((code.Length + Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize);
        var address = Map(0, bytes, Read | Write, Private | Anonymous, -1, 0);
        if (address == -1)
            throw new InvalidOperationException($"the system gives no memory for code: {Marshal.GetLastPInvokeErrorMessage()}");
        code.CopyTo(new Span<byte>((void*)address, (int)bytes));
        if (Protect(address, bytes, Read | Execute) == 0) return address;
        var message = Marshal.GetLastPInvokeErrorMessage();
        _ = Unmap(address, bytes);
        throw new InvalidOperationException($"the system refuses executable pages: {message}");
    }

    /// <summary>As <see cref="ExecutablePages.WhyTilesRefused"/> (Linux, Documentation/arch/x86/xstate.rst).</summary>
    public static string? WhyTilesRefused() => SystemCall(ArchPrctl, RequestPermission, TileData) == 0
        ? null
        : $"the system does not grant AMX tiles: {Marshal.GetLastPInvokeErrorMessage()}";

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, long first, long second);
}
