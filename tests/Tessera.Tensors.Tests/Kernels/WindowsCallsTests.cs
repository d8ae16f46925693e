using System.Reflection;
using Iced.Intel;
using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;
using Tessera.Tensors.Tests.Fuzz;
using Tessera.Tensors.Tests.Guards;
using Tessera.Tensors.Tests.Levels;
using Xunit.Abstractions;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Tests.Kernels;

public unsafe class WindowsCallsTests(ITestOutputHelper output)
{
    /// <summary>Whatever routines operations use, those of later levels included where the processor has them.</summary>
    [SystemVFact]
    public void Every_routine_computes_the_same_when_it_is_called_as_windows_calls_and_keeps_what_windows_wants_kept()
    {
        for (var level = KernelLevel.Avx512Vnni; level <= Simd.Highest; level++)
        {
            Require(level, 4, Fuzzed.Operations.Keys);
            Require(level, 80, ["stored-linear"]);
        }

        void Require(KernelLevel level, ulong count, IReadOnlyCollection<string> operations)
        {
            var outcome = ChildProcess.Fuzz(
                7000, count, operations, ("TESSERA_KERNELS", level.Name()), (WindowsCaller.Variable, "all"));
            output.WriteLine(outcome.Summary);
            Assert.True(outcome.Died is null, outcome.Died);
            Assert.Empty(outcome.Failures);
            Assert.Matches(" [0-9]+ routines in [1-9][0-9]+ calls of Windows', which lost nothing:", outcome.Summary);
        }
    }

    [SystemVFact]
    public void A_register_that_a_routine_does_not_keep_is_found()
    {
        Assert.Equal((42, ""), Call(WindowsCalls.Around(Routine())));
        Assert.Equal((42, "rsi, xmm6[0], xmm6[1], xmm15[1]"), Call(AssembledCode.Bytes(code =>
        {
            code.mov(__qword_ptr[rcx], 42);
            code.xor(esi, esi);
            code.vpxor(xmm6, xmm6, xmm6);
            code.vmovq(xmm15, xmm15);
            code.ret();
        })));
    }

    /// <summary>Routines with tiles, which this machine may be unable to run: what they change is the caller's to lose or saved, and they
    /// use no memory below the stack pointer, which Windows takes.</summary>
    [Fact]
    public void Routines_with_tiles_keep_what_both_conventions_have_a_callee_keep()
    {
        var routines = typeof(AmxRoutine).Assembly.GetTypes()
            .Where(type => !type.ContainsGenericParameters)
            .SelectMany(type => type.GetFields(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public))
            .Where(field => field.FieldType == typeof(AmxRoutine) || field.FieldType == typeof(AmxRoutine[]))
            .SelectMany(field => field.GetValue(null) is AmxRoutine[] many ? many : [(AmxRoutine)field.GetValue(null)!])
            .ToArray();
        Assert.True(routines.Length >= 14);
        foreach (var routine in routines) RequireKept(routine.Code);

        Assert.Throws<Xunit.Sdk.TrueException>(() => RequireKept(AssembledCode.Bytes(code => { code.inc(rbx); code.ret(); })));
        Assert.Throws<Xunit.Sdk.TrueException>(() => RequireKept(AssembledCode.Bytes(code => { code.mov(__[rsp - 8], rax); code.ret(); })));
        RequireKept(AssembledCode.Bytes(code => { code.push(rbx); code.inc(rbx); code.pop(rbx); code.ret(); }));
    }

    /// <summary>What a routine answers to a caller of Windows, and what it did not keep.</summary>
    private static (long Answer, string Lost) Call(byte[] routine)
    {
        var answer = 0L;
        var call = (delegate* unmanaged[SuppressGCTransition]<void*, void>)ExecutablePages.Place(WindowsCaller.Around(routine));
        call(&answer);
        return (answer, WindowsCaller.Lost);
    }

    private static byte[] Routine() => AssembledCode.Bytes(code =>
    {
        code.mov(__qword_ptr[rdi], 42);
        code.mov(rsi, rdi);
        code.vpcmpeqd(xmm6, xmm6, xmm6);
        code.vpcmpeqd(xmm15, xmm15, xmm15);
        code.ret();
    });

    private static void RequireKept(byte[] routine)
    {
        Register[] kept = [Register.RBX, Register.RBP, Register.R12, Register.R13, Register.R14, Register.R15];
        var saved = new HashSet<Register>();
        var decoder = Decoder.Create(64, routine);
        var factory = new InstructionInfoFactory();
        while (decoder.IP < (ulong)routine.Length)
        {
            var instruction = decoder.Decode();
            Assert.False(instruction.IsInvalid);
            if (instruction.Mnemonic == Mnemonic.Push) saved.Add(instruction.Op0Register);
            Assert.True(
                instruction.MemoryBase != Register.RSP || instruction.MemoryDisplacement64 <= int.MaxValue,
                $"{instruction} uses memory below the stack pointer");
            foreach (var used in factory.GetInfo(instruction).GetUsedRegisters())
            {
                var register = used.Register.GetFullRegister();
                var changes = used.Access is not (OpAccess.Read or OpAccess.CondRead or OpAccess.NoMemAccess);
                Assert.True(!changes || !kept.Contains(register) || saved.Contains(register), $"{instruction} changes {register}");
            }
        }
    }
}

/// <summary>Runs where assembled kernels do and the system does not call as Windows does: there the tests themselves show it.</summary>
public sealed class SystemVFactAttribute : FactAttribute
{
    /// <summary>Skips, saying why, where it does not.</summary>
    public SystemVFactAttribute() =>
        Skip = OperatingSystem.IsWindows() ? "this system is Windows" : Simd.WhyNot(KernelLevel.Avx512Vnni);
}
