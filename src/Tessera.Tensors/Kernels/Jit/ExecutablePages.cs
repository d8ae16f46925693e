using System.Runtime.InteropServices;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Memory for machine code, from the system: pages are written, then made executable and read-only; they are never both
/// writable and executable. Linux and Windows on x86-64; elsewhere nothing is assembled and the next lower level is used.
/// </summary>
internal static unsafe class ExecutablePages
{
    /// <summary>Copies code to executable pages, which stay for the life of the process.</summary>
    /// <exception cref="InvalidOperationException">The system refuses.</exception>
    public static nint Place(ReadOnlySpan<byte> code) =>
        OperatingSystem.IsWindows() ? WindowsPages.Place(code) : LinuxPages.Place(code);

    /// <summary>Why code that is assembled at run time cannot be used, or null where a trial succeeds.</summary>
    public static string? WhyRefused()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) return "kernels are assembled at run time for x86-64 only";
        if (!HasPages) return "kernels are assembled at run time on Linux and Windows only";
        try
        {
            var answer = AssembledCode.Assemble(code =>
            {
                code.mov(__qword_ptr[rdi], 42);
                code.ret();
            });
            var found = 0L;
            answer(&found);
            return found == 42 ? null : "code in executable pages does not run as written";
        }
        catch (Exception refusal) when (refusal is InvalidOperationException or DllNotFoundException or EntryPointNotFoundException)
        {
            return refusal.Message;
        }
    }

    /// <summary>Asks for the state of AMX tiles; says why it is refused, or null where it is granted.</summary>
    public static string? WhyTilesRefused()
    {
        if (!HasPages) return "AMX is used on Linux and Windows only";
        try
        {
            return OperatingSystem.IsWindows() ? WindowsPages.WhyTilesRefused() : LinuxPages.WhyTilesRefused();
        }
        catch (Exception refusal) when (refusal is DllNotFoundException or EntryPointNotFoundException)
        {
            return $"the system does not know AMX: {refusal.Message}";
        }
    }

    private static bool HasPages => OperatingSystem.IsLinux() || OperatingSystem.IsWindows();
}
