using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Memory for machine code, from the system: pages are written, then made executable and read-only; they are never both
/// writable and executable. Linux on x86-64; elsewhere nothing is assembled and the next lower level is used.
/// </summary>
internal static unsafe partial class ExecutablePages
{
    private const int Read = 1, Write = 2, Execute = 4, Private = 2, Anonymous = 0x20;

    // Linux, asm/prctl.h and arch/x86: which state components a process may use is asked for once.
    private const long ArchPrctl = 158, RequestPermission = 0x1023, TileData = 18;

    /// <summary>Copies code to executable pages, which stay for the life of the process.</summary>
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

    /// <summary>Why code that is assembled at run time cannot be used, or null where a trial succeeds.</summary>
    public static string? WhyRefused()
    {
        if (!OperatingSystem.IsLinux()) return "kernels are assembled at run time on Linux only";
        try
        {
            // mov eax, edi; ret
            ReadOnlySpan<byte> echo = [0x89, 0xF8, 0xC3];
            var run = (delegate* unmanaged<int, int>)Place(echo);
            return run(42) == 42 ? null : "code in executable pages does not run as written";
        }
        catch (Exception refusal) when (refusal is InvalidOperationException or DllNotFoundException or EntryPointNotFoundException)
        {
            return refusal.Message;
        }
    }

    /// <summary>Asks for the state of AMX tiles; says why it is refused, or null where it is granted.</summary>
    public static string? WhyTilesRefused()
    {
        if (!OperatingSystem.IsLinux()) return "AMX is used on Linux only";
        return SystemCall(ArchPrctl, RequestPermission, TileData) == 0
            ? null
            : $"the system does not grant AMX tiles: {Marshal.GetLastPInvokeErrorMessage()}";
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, long first, long second);
}
