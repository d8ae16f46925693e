using System.Runtime.InteropServices;
using Iced.Intel;
using Tessera.Tensors.Kernels.Jit;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Tests.Levels;

/// <summary>
/// Calls routines as Windows does, on any system: between a caller of this system and a routine in <see cref="WindowsCalls"/> it puts code
/// that fills every register which Windows has a callee keep, and every other one that brings no argument, with marks, calls by Windows'
/// convention (argument in rcx, 32 bytes of shadow space) and notes which of those to be kept lost theirs.
/// </summary>
internal static unsafe class WindowsCaller
{
    public const string Variable = "TESSERA_TEST_WINDOWS_CALLS";

    private const int FirstKeptVector = 6, KeptVectors = 10, Shadow = 32, StackMark = 1;

    private static readonly AssemblerRegister64[] s_kept = [rbx, rbp, rdi, rsi, r12, r13, r14, r15];

    private static readonly AssemblerRegister64[] s_free = [rax, rdx, r8, r9, r10, r11];

    /// <summary>How many calls there were, and a bit for each register that a call did not keep.</summary>
    private static readonly long* s_seen = (long*)NativeMemory.AllocZeroed(2, sizeof(long));

    private static int s_routines;

    public static bool IsOn { get; private set; }

    public static int Routines => Volatile.Read(ref s_routines);

    public static long Calls => Volatile.Read(ref s_seen[0]);

    /// <summary>What calls did not keep, by name; empty where they kept all.</summary>
    public static string Lost
    {
        get
        {
            var lost = Volatile.Read(ref s_seen[1]);
            return string.Join(", ", Marks().Select(mark => mark.Name).Where((_, place) => (lost >> place & 1) != 0));
        }
    }

    /// <summary>From here on all routines are placed and called so. Call it before the first is.</summary>
    public static void CallAll()
    {
        IsOn = true;
        AssembledCode.Envelope = routine =>
        {
            Interlocked.Increment(ref s_routines);
            return Around(WindowsCalls.Around(routine));
        };
    }

    /// <summary>A routine that is called as this system calls, and calls <paramref name="routine"/>, which lies behind it, as Windows
    /// does.</summary>
    public static byte[] Around(byte[] routine) => AssembledCode.Bytes(code =>
    {
        var target = code.CreateLabel();
        AssemblerRegister64[] callers = [rbx, rbp, r12, r13, r14, r15];
        foreach (var register in callers) code.push(register);
        code.sub(rsp, Shadow + sizeof(long)); // 16-byte aligned with the return address and six registers
        code.mov(rcx, rdi);
        foreach (var (mark, value) in Marks()) Write(code, mark, value);
        for (var i = 0; i < FirstKeptVector; i++) Fill(code, new(Register.XMM0 + i), 0x7FF1_0000_0000_0000 + i);
        foreach (var register in s_free) code.mov(register, 0x0123_4567_0000_0000 + (long)register.Value);
        code.call(target);

        code.xor(r10d, r10d);
        var place = 0;
        foreach (var (mark, value) in Marks()) Compare(code, mark, value, place++);
        code.mov(rax, (long)s_seen);
        code.@lock.inc(__qword_ptr[rax]);
        code.@lock.or(__qword_ptr[rax + sizeof(long)], r10);
        code.add(rsp, Shadow + sizeof(long));
        foreach (var register in callers.Reverse()) code.pop(register);
        code.ret();
        code.Label(ref target);
        code.db(routine);
    });

    private static IEnumerable<(Mark Name, long Value)> Marks()
    {
        var value = 0x5AA5_0FF0_1234_0000;
        foreach (var register in s_kept) yield return (new(register, default, 0), value += 0x1111);
        for (var i = 0; i < KeptVectors; i++)
            for (var half = 0; half < 2; half++) yield return (new(default, new(Register.XMM0 + FirstKeptVector + i), half), value += 0x1111);
        yield return (new(default, default, StackMark), value + 0x1111);
    }

    private static void Write(Assembler code, Mark mark, long value)
    {
        code.mov(rax, value);
        if (mark.IsStack) code.mov(__qword_ptr[rsp + Shadow], rax);
        else if (!mark.IsVector) code.mov(mark.Whole, rax);
        else if (mark.Half == 0) code.vmovq(mark.Vector, rax);
        else code.vpinsrq(mark.Vector, mark.Vector, rax, 1);
    }

    private static void Compare(Assembler code, Mark mark, long value, int place)
    {
        if (mark.IsStack) code.mov(rax, __qword_ptr[rsp + Shadow]);
        else if (mark.IsVector) code.vpextrq(rax, mark.Vector, (byte)mark.Half);
        else code.mov(rax, mark.Whole);
        code.mov(r11, value);
        code.cmp(rax, r11);
        code.setne(al);
        code.movzx(eax, al);
        code.shl(rax, (byte)place);
        code.or(r10, rax);
    }

    private static void Fill(Assembler code, AssemblerRegisterXMM vector, long value)
    {
        code.mov(rax, value);
        code.vmovq(vector, rax);
    }

    /// <summary>A register, half a vector, or the stack above the shadow space.</summary>
    private readonly record struct Mark(AssemblerRegister64 Whole, AssemblerRegisterXMM Vector, int Half)
    {
        public bool IsVector => Vector.Value != Register.None;

        public bool IsStack => !IsVector && Half == StackMark;

        public override string ToString() =>
            IsStack ? "stack" : IsVector ? $"{Vector.Value}[{Half}]".ToLowerInvariant() : $"{Whole.Value}".ToLowerInvariant();
    }
}
