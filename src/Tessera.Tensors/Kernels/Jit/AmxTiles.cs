using System.Runtime.InteropServices;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>What <see cref="AmxTiles.Multiply"/> multiplies; distances are in bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AmxOperands
{
    /// <summary>Rows of BF16 or of 8-bit integers, dense within a step.</summary>
    public void* A;

    /// <summary>From a row of a to the next.</summary>
    public nint RowA;

    /// <summary>From a step of a to the next: <see cref="AmxShape.StepBytes"/> where rows are dense.</summary>
    public nint StepA;

    /// <summary>Each row holds four bytes for each column: those of two consecutive k in BF16, of four in 8-bit integers.</summary>
    public void* B;

    /// <summary>From a row of b to the next: at least four bytes a column.</summary>
    public nint RowB;

    /// <summary>From a step of b to the next: <see cref="AmxShape.StepBytes"/> / 4 rows where steps follow one another.</summary>
    public nint StepB;

    /// <summary>Rows of F32 or I32.</summary>
    public void* C;

    /// <summary>From a row of c to the next.</summary>
    public nint RowC;

    /// <summary>How many steps k takes. Where k does not fill them, both a and b hold zeros beyond it.</summary>
    public nint Steps;

    /// <summary>Whether to add to what c holds: 0 or 1.</summary>
    public nint Add;
}

/// <summary>
/// The tiles (AMX) of the calling thread. Loading a configuration takes as long as several steps, so it is done where the
/// shape changes and not for each block: blocks of one shape should follow one another. At the end of a part of a parallel job the
/// thread gives its tiles up (<see cref="Release"/>), so that the system need not keep their 8 KiB when it switches threads.
/// What another thread does to its tiles, and that the system switches between threads, does not matter: the state is a
/// thread's own, and the permission to use it is the process's (Linux, Documentation/arch/x86/xstate.rst).
/// <para>A block product is exact in what it touches: no byte of a row or column that the shape does not have is read or
/// written, so that ragged edges need no buffers beside c.</para>
/// <para><c>tdpbf16ps</c> rounds to nearest even, takes subnormal numbers as 0 and gives 0 for subnormal results. Intel,
/// Software Developer's Manual, volume 2.</para>
/// </summary>
internal static unsafe class AmxTiles
{
    private static readonly AmxRoutine s_configure = new(code =>
    {
        code.ldtilecfg(__[rdi]);
        code.ret();
    });

    private static readonly AmxRoutine s_release = new(code =>
    {
        code.tilerelease();
        code.ret();
    });

    private static readonly AmxRoutine[] s_products =
    [
        .. from numbers in Enum.GetValues<AmxNumbers>()
           from rowTiles in (int[])[1, 2]
           from columnTiles in (int[])[1, 2]
           select new AmxRoutine(code => new AmxWriter(code, numbers, rowTiles, columnTiles).Write()),
    ];

    /// <summary>What the calling thread's tiles are configured for; the default where they are not.</summary>
    [ThreadStatic] private static AmxShape s_shape;

    /// <summary>Whether there are tiles to use, or an emulator stands in for them.</summary>
    public static bool Available => Simd.Level >= KernelLevel.Amx || AmxRoutine.Emulator is not null;

    /// <summary>Computes one block, <c>c = a b</c> or <c>c += a b</c>; needs <see cref="Available"/>.</summary>
    public static void Multiply(AmxNumbers numbers, AmxShape shape, in AmxOperands operands)
    {
        if (shape != s_shape) Configure(shape);
        fixed (AmxOperands* argument = &operands)
            s_products[((int)numbers * 4) + ((shape.RowTiles - 1) * 2) + shape.ColumnTiles - 1].Run(argument);
    }

    /// <summary>Gives the calling thread's tiles up, where it uses any.</summary>
    public static void Release()
    {
        if (s_shape == default) return;
        s_release.Run(null);
        s_shape = default;
    }

    private static void Configure(AmxShape shape)
    {
        AmxSignalStack.Ensure();
        var configuration = shape.Configuration();
        s_configure.Run(&configuration);
        s_shape = shape;
    }
}
