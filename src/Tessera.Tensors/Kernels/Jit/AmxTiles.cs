using System.Runtime.InteropServices;

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
/// The tiles (AMX) of the calling thread, from their first use to <see cref="Dispose"/>. Make one for each part of a parallel
/// job, on the thread that does the part, and dispose it there: loading a configuration costs about 200 cycles, so it is done
/// once a shape and not once a block; and once the tiles are released, the system need not keep their 8 KiB when it
/// switches threads. Blocks of one shape should therefore follow one another.
/// <para>A block product is exact in what it touches: no byte of a row or column that the shape does not have is read or
/// written, so that ragged edges need no buffers beside c.</para>
/// <para>Besides linear layers, flash attention uses it (queries row by row times keys in pairs, then weights row by row
/// times values in pairs) and prefill with quantized weights (<see cref="AmxNumbers.SignedBytes"/>; a step of 32 bytes is a
/// block of Q8_0, whose sums the caller scales and adds).</para>
/// <para><c>tdpbf16ps</c> rounds to nearest even, takes subnormal numbers as 0 and gives 0 for subnormal results. Intel,
/// Software Developer's Manual, volume 2.</para>
/// </summary>
internal unsafe ref struct AmxTiles
{
    private static readonly AmxRoutine s_configure = new(code =>
    {
        code.ldtilecfg(Iced.Intel.AssemblerRegisters.__[Iced.Intel.AssemblerRegisters.rdi]);
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

    private AmxShape _shape;

    /// <summary>Computes one block, <c>c = a b</c> or <c>c += a b</c>.</summary>
    public void Multiply(AmxNumbers numbers, AmxShape shape, in AmxOperands operands)
    {
        if (shape != _shape) Configure(shape);
        fixed (AmxOperands* argument = &operands)
            s_products[((int)numbers * 4) + ((shape.RowTiles - 1) * 2) + shape.ColumnTiles - 1].Run(argument);
    }

    /// <summary>Gives the tiles up.</summary>
    public void Dispose()
    {
        if (_shape == default) return;
        s_release.Run(null);
        _shape = default;
    }

    private void Configure(AmxShape shape)
    {
        var configuration = shape.Configuration();
        s_configure.Run(&configuration);
        _shape = shape;
    }
}
