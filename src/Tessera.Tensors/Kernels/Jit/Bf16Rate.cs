using System.Diagnostics;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Whether a processor's BF16 dot products (<c>vdpbf16ps</c>, two multiplications a lane) do more than its F32 multiplications
/// (<c>vfmadd231ps</c>, one). AMD's take the same time, twice the work; Intel's, in the generations that leave BF16 to AMX, take four
/// times as long, half the work: so far apart that a measurement of microseconds always decides alike.
/// </summary>
internal static unsafe class Bf16Rate
{
    private const int Rounds = 2000, Sums = 16, Trials = 7;

    /// <summary>Measures both on this processor; needs AVX-512 BF16 and executable pages.</summary>
    public static bool DotsPay()
    {
        var dots = AssembledCode.Assemble(code => Write(code, sum => code.vdpbf16ps(sum, zmm30, zmm31)));
        var multiplications = AssembledCode.Assemble(code => Write(code, sum => code.vfmadd231ps(sum, zmm30, zmm31)));
        return Shortest(dots) < 2 * Shortest(multiplications);
    }

    /// <summary>The time of a run that nothing interrupted.</summary>
    private static long Shortest(delegate* unmanaged[SuppressGCTransition]<void*, void> routine)
    {
        var shortest = long.MaxValue;
        for (var trial = 0; trial < Trials; trial++)
        {
            var start = Stopwatch.GetTimestamp();
            routine(null);
            shortest = Math.Min(shortest, Stopwatch.GetTimestamp() - start);
        }

        return shortest;
    }

    /// <summary>Rounds of one instruction for each of as many sums as hide its latency, all of them 0.</summary>
    private static void Write(Assembler code, Action<AssemblerRegisterZMM> instruction)
    {
        for (var register = 0; register < 32; register++) code.vpxord(Register(register), Register(register), Register(register));
        var start = code.CreateLabel();
        code.mov(eax, Rounds);
        code.Label(ref start);
        for (var sum = 0; sum < Sums; sum++) instruction(Register(sum));
        code.dec(eax);
        code.jnz(start);
        code.vzeroupper();
        code.ret();
    }

    private static AssemblerRegisterZMM Register(int index) => new(Iced.Intel.Register.ZMM0 + index);
}
