using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>What assembled code asks of Windows.</summary>
internal static unsafe partial class WindowsPages
{
    private const uint CommitAndReserve = 0x3000, Release = 0x8000, ReadWrite = 0x04, ExecuteRead = 0x20;

    /// <summary>State components 17 and 18 of a processor: the configuration of tiles and what they hold.</summary>
    private const ulong Tiles = (1 << 17) | (1 << 18);

    /// <summary>As <see cref="ExecutablePages.Place"/>.</summary>
    /// <exception cref="InvalidOperationException">The system refuses.</exception>
    public static nint Place(ReadOnlySpan<byte> code)
    {
        var bytes = (nuint)code.Length;
        var address = Allocate(0, bytes, CommitAndReserve, ReadWrite);
        if (address == 0)
            throw new InvalidOperationException($"the system gives no memory for code: {Marshal.GetLastPInvokeErrorMessage()}");
        code.CopyTo(new Span<byte>((void*)address, code.Length));
        if (Protect(address, bytes, ExecuteRead, out _) != 0 && Flush(CurrentProcess(), address, bytes) != 0) return address;
        var message = Marshal.GetLastPInvokeErrorMessage();
        _ = Free(address, 0, Release);
        throw new InvalidOperationException($"the system refuses executable pages: {message}");
    }

    /// <summary>
    /// As <see cref="ExecutablePages.WhyTilesRefused"/>. Windows 11 and Server 2022 keep the state of tiles for processes that ask for it
    /// (Microsoft, EnableProcessOptionalXStateFeatures), for all of their threads.
    /// </summary>
    /// <exception cref="EntryPointNotFoundException">The system is older than that.</exception>
    public static string? WhyTilesRefused()
    {
        if ((EnabledState() & Tiles) != Tiles) return "the system does not keep the state of AMX tiles";
        return EnableState(Tiles) != 0 ? null : $"the system does not grant AMX tiles: {Marshal.GetLastPInvokeErrorMessage()}";
    }

    [LibraryImport("kernel32", EntryPoint = "VirtualAlloc", SetLastError = true)]
    private static partial nint Allocate(nint address, nuint length, uint kind, uint protection);

    [LibraryImport("kernel32", EntryPoint = "VirtualProtect", SetLastError = true)]
    private static partial int Protect(nint address, nuint length, uint protection, out uint former);

    [LibraryImport("kernel32", EntryPoint = "VirtualFree")]
    private static partial int Free(nint address, nuint length, uint kind);

    [LibraryImport("kernel32", EntryPoint = "GetCurrentProcess")]
    private static partial nint CurrentProcess();

    [LibraryImport("kernel32", EntryPoint = "FlushInstructionCache", SetLastError = true)]
    private static partial int Flush(nint process, nint address, nuint length);

    [LibraryImport("kernel32", EntryPoint = "GetEnabledXStateFeatures")]
    private static partial ulong EnabledState();

    [LibraryImport("kernel32", EntryPoint = "EnableProcessOptionalXStateFeatures", SetLastError = true)]
    private static partial int EnableState(ulong components);
}
