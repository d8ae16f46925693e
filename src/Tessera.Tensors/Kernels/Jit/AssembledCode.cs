using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Routines assembled at run time. A routine is written for the System V calling convention on every system: it takes one pointer, to a
/// struct of arguments on the caller's stack, in <c>rdi</c> and may use every register that a callee need not keep: rax, rcx, rdx, rsi,
/// rdi, r8–r11, all vector and mask registers; nothing below the stack pointer. Where the system calls otherwise (Windows), the routine
/// is placed inside <see cref="WindowsCalls"/>.
/// </summary>
internal static unsafe class AssembledCode
{
    /// <summary>From a routine to what is placed in executable pages; tests put calls by another system's convention around it.</summary>
    public static Func<byte[], byte[]> Envelope { get; set; } =
        OperatingSystem.IsWindows() ? WindowsCalls.Around : routine => routine;

    /// <summary>
    /// Assembles a routine that <paramref name="write"/> writes, its return included, and places it in executable pages.
    /// Call it once a routine, and keep the address in a static field. <c>SuppressGCTransition</c> makes a call cost as
    /// little as one to managed code, and obliges the routine to return within microseconds: a tile at a time.
    /// </summary>
    /// <exception cref="InvalidOperationException">The system refuses executable pages.</exception>
    public static delegate* unmanaged[SuppressGCTransition]<void*, void> Assemble(Action<Assembler> write) => Place(Bytes(write));

    /// <summary>Places a routine in executable pages, to be called as this system calls.</summary>
    /// <exception cref="InvalidOperationException">The system refuses executable pages.</exception>
    public static delegate* unmanaged[SuppressGCTransition]<void*, void> Place(byte[] routine) =>
        (delegate* unmanaged[SuppressGCTransition]<void*, void>)ExecutablePages.Place(Envelope(routine));

    /// <summary>A field, of 8 bytes, of the struct of arguments that <c>rdi</c> points to.</summary>
    /// <typeparam name="TArguments">The struct, laid out in the order its fields are declared in.</typeparam>
    public static AssemblerMemoryOperand Field<TArguments>(string name) where TArguments : unmanaged =>
        __qword_ptr[rdi + (int)Marshal.OffsetOf<TArguments>(name)];

    /// <summary>The machine code that <paramref name="write"/> writes, without placing it; it may not depend on its address.</summary>
    public static byte[] Bytes(Action<Assembler> write)
    {
        var assembler = new Assembler(64);
        write(assembler);
        using var code = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(code), rip: 0);
        return code.ToArray();
    }
}
