using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;

namespace Tessera.Tensors.Tests.Levels;

/// <summary>
/// A system that refuses executable pages, as hardened ones do: the thread on which the level is chosen runs under a filter of
/// system calls (seccomp) by which <c>mprotect</c> makes nothing executable. The filter is that thread's alone, since .NET's own
/// compiler needs such pages too.
/// </summary>
internal static unsafe partial class DeniedPages
{
    public const string Variable = "TESSERA_TEST_DENY";

    private const int SetNoNewPrivileges = 38, SetFilter = 22, FilterMode = 2;
    private const ushort Load = 0x20, JumpIfEqual = 0x15, Return = 0x06;
    private const uint Allow = 0x7FFF0000, RefuseWithAccessDenied = 0x00050000 | 13;
    private const uint NumberOfCall = 0, ThirdArgument = 32, MemoryProtect = 10, ReadExecute = 5;

    /// <summary>Chooses the level under the filter. Call it before anything else needs the level.</summary>
    public static void ChooseLevel()
    {
        var thread = new Thread(() =>
        {
            // What the choice calls is compiled while it still can be.
            _ = KernelLevels.Choose("", ProcessorFeatures.Detect());
            Filter();
            RuntimeHelpers.RunClassConstructor(typeof(Simd).TypeHandle);
        });
        thread.Start();
        thread.Join();
    }

    private static void Filter()
    {
        // x86-64: if the call is mprotect and asks for read and execute, refuse.
        var program = stackalloc Instruction[]
        {
            new(Load, 0, 0, NumberOfCall), new(JumpIfEqual, 0, 3, MemoryProtect),
            new(Load, 0, 0, ThirdArgument), new(JumpIfEqual, 0, 1, ReadExecute),
            new(Return, 0, 0, RefuseWithAccessDenied), new(Return, 0, 0, Allow),
        };
        var whole = new Program { Length = 6, First = program };
        if (Control(SetNoNewPrivileges, 1, 0, 0, 0) != 0 || Control(SetFilter, FilterMode, (nuint)(&whole), 0, 0) != 0)
            throw new InvalidOperationException($"seccomp: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int Control(int option, nuint first, nuint second, nuint third, nuint fourth);

    private readonly record struct Instruction(ushort Code, byte IfTrue, byte IfFalse, uint Constant);

    private struct Program
    {
        public ushort Length;
        public Instruction* First;
    }
}
