using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Lets a routine that is written for the System V calling convention be called by that of Windows x64 (Microsoft, x64 calling
/// convention): the argument comes in <c>rcx</c> instead of <c>rdi</c>, and <c>rdi</c>, <c>rsi</c> and the lower 128 bits of
/// <c>xmm6</c>–<c>xmm15</c> are the caller's. Both conventions have the callee keep rbx, rbp and r12–r15, so that a routine does that
/// itself.
/// <para>Nothing tells the system how to unwind the stack through it: routines call nothing, and an access violation in one ends
/// the process, as one in any native code does under .NET.</para>
/// </summary>
internal static class WindowsCalls
{
    private const int FirstKept = 6, Kept = 10, Bytes = 16, Alignment = 64;

    /// <summary>Kept vectors, and 8 bytes more: the return address and two pushed registers leave the stack 8 bytes off 16.</summary>
    private const int Frame = (Kept * Bytes) + 8;

    /// <summary>The routine, for a Windows caller. It begins at a multiple of 64 bytes, as it does by itself, for its loops.</summary>
    public static byte[] Around(byte[] routine)
    {
        var entry = AssembledCode.Bytes(code => Write(code, routine, padding: 0)).Length - routine.Length;
        return AssembledCode.Bytes(code => Write(code, routine, padding: (Alignment - (entry % Alignment)) % Alignment));
    }

    private static void Write(Assembler code, byte[] routine, int padding)
    {
        var body = code.CreateLabel();
        code.push(rdi);
        code.push(rsi);
        code.sub(rsp, Frame);
        for (var i = 0; i < Kept; i++) code.vmovaps(__xmmword_ptr[rsp + (i * Bytes)], Vector(i));
        code.mov(rdi, rcx);
        code.call(body);
        for (var i = 0; i < Kept; i++) code.vmovaps(Vector(i), __xmmword_ptr[rsp + (i * Bytes)]);
        code.add(rsp, Frame);
        code.pop(rsi);
        code.pop(rdi);
        code.ret();
        for (var i = 0; i < padding; i++) code.int3();
        code.Label(ref body);
        code.db(routine);
    }

    private static AssemblerRegisterXMM Vector(int index) => new(Register.XMM0 + FirstKept + index);
}
