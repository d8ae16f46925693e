using System.Runtime.InteropServices;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Room for signal handlers on threads that use tiles. .NET gives each thread 12 KiB for the handler that turns an access to
/// null into an exception, and the handler takes about 6. The system saves the registers there first: 3.4 KiB with AVX-512, but
/// 11.5 once a thread has used tiles, so that such an access would end the process.
/// </summary>
internal static unsafe partial class AmxSignalStack
{
    /// <summary>What signal handlers can use after <see cref="Ensure"/>, in bytes.</summary>
    public const int Bytes = 64 * 1024;

    private const int None = 0, ReadWrite = 3, PrivateAnonymous = 0x22;

    [ThreadStatic] private static bool s_ensured;

    /// <summary>Gives the calling thread a larger signal stack, once, where it has one at all. What it had is not freed,
    /// since it may be anyone's; .NET frees, at the end of a thread, the one that is in use then.</summary>
    /// <exception cref="InvalidOperationException">The system gives no memory.</exception>
    public static void Ensure()
    {
        if (s_ensured || !OperatingSystem.IsLinux()) return;
        var guard = Environment.SystemPageSize;
        Stack current;
        Require(Exchange(null, &current) == 0);
        if (current.Flags == 0 && current.Size < (nuint)(Bytes + guard))
        {
            var larger = new Stack
            {
                Start = Map(0, (nuint)(Bytes + guard), ReadWrite, PrivateAnonymous, -1, 0),
                Size = (nuint)(Bytes + guard),
            };
            Require(larger.Start != -1);
            Require(Protect(larger.Start, (nuint)guard, None) == 0);
            Require(Exchange(&larger, null) == 0);
        }

        s_ensured = true;
    }

    /// <summary>The bytes of the calling thread's signal stack, its guard page included; 0 where it has none.</summary>
    public static long Current()
    {
        Stack current;
        Require(Exchange(null, &current) == 0);
        return current.Flags == 0 ? (long)current.Size : 0;
    }

    private static void Require(bool done)
    {
        if (!done) throw new InvalidOperationException($"the system gives no signal stack for AMX: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [LibraryImport("libc", EntryPoint = "sigaltstack", SetLastError = true)]
    private static partial int Exchange(Stack* wanted, Stack* current);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Protect(nint address, nuint length, int protection);

    /// <summary>Linux's <c>stack_t</c> for 64-bit processors.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Stack
    {
        public nint Start;

        /// <summary>1 while a handler runs on it, 2 where there is none.</summary>
        public int Flags;

        public nuint Size;
    }
}
