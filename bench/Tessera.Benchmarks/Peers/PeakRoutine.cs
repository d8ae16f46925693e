using Iced.Intel;
using Tessera.Tensors.Kernels.Jit;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Benchmarks.Peers;

/// <summary>Microseconds of one instruction without memory, assembled at run time, as many sums at once as hide its latency.</summary>
internal sealed unsafe class PeakRoutine
{
    private const int Rounds = 1000;

    private readonly delegate* unmanaged[SuppressGCTransition]<void*, void> _run;
    private readonly bool _usesTiles;

    private PeakRoutine(Action<Assembler> write, double operations, bool usesTiles = false)
    {
        _run = AssembledCode.Assemble(write);
        (Operations, _usesTiles) = (Rounds * operations, usesTiles);
    }

    /// <summary>BF16 dot products, <c>vdpbf16ps</c>: 16 sums of 16 lanes, two multiplications each.</summary>
    public static PeakRoutine Dots => new(code => WriteSums(code, sum => code.vdpbf16ps(sum, zmm30, zmm31)), 16 * 16 * 4);

    /// <summary>Dot products of bytes, <c>vpdpbusd</c>: 16 sums of 16 lanes, four multiplications each.</summary>
    public static PeakRoutine Bytes => new(code => WriteSums(code, sum => code.vpdpbusd(sum, zmm30, zmm31)), 16 * 16 * 8);

    /// <summary>BF16 tiles, <c>tdpbf16ps</c>: 4 sums of 16 x 16, of 32 multiplications each.</summary>
    public static PeakRoutine Tiles => new(WriteTiles, 4 * 16 * 16 * 64, usesTiles: true);

    /// <summary>Multiplications and additions of one run.</summary>
    public double Operations { get; }

    public void Run()
    {
        if (!_usesTiles)
        {
            _run(null);
            return;
        }

        AmxSignalStack.Ensure();
        var configuration = new AmxShape(AmxShape.MaxRows, AmxShape.MaxColumns).Configuration();
        _run(&configuration);
    }

    private static void WriteSums(Assembler code, Action<AssemblerRegisterZMM> add)
    {
        for (var register = 0; register < 32; register++) code.vpxord(Register(register), Register(register), Register(register));
        Loop(code, () =>
        {
            for (var sum = 0; sum < 16; sum++) add(Register(sum));
        });
        code.vzeroupper();
        code.ret();

        static AssemblerRegisterZMM Register(int index) => new(Iced.Intel.Register.ZMM0 + index);
    }

    private static void WriteTiles(Assembler code)
    {
        code.ldtilecfg(__[rdi]);
        foreach (var tile in (AssemblerRegisterTMM[])[tmm0, tmm1, tmm2, tmm3, tmm4, tmm5, tmm6, tmm7]) code.tilezero(tile);
        Loop(code, () =>
        {
            code.tdpbf16ps(tmm0, tmm4, tmm6);
            code.tdpbf16ps(tmm1, tmm4, tmm7);
            code.tdpbf16ps(tmm2, tmm5, tmm6);
            code.tdpbf16ps(tmm3, tmm5, tmm7);
        });
        code.tilerelease();
        code.ret();
    }

    private static void Loop(Assembler code, Action body)
    {
        var start = code.CreateLabel();
        code.mov(eax, Rounds);
        code.Label(ref start);
        body();
        code.dec(eax);
        code.jnz(start);
    }
}
