using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>Which numbers a block product multiplies, and what it sums them in.</summary>
internal enum AmxNumbers
{
    /// <summary>BF16 by BF16, in F32: <c>tdpbf16ps</c>.</summary>
    BFloat16,

    /// <summary>Signed by signed 8-bit integers, in I32: <c>tdpbssd</c>.</summary>
    SignedBytes,

    /// <summary>Unsigned (a) by signed (b) 8-bit integers, in I32: <c>tdpbusd</c>.</summary>
    UnsignedBytes,
}

/// <summary>
/// Writes the routine of a block product <c>c = a b</c> or <c>c += a b</c>, whose argument is an <see cref="AmxOperands"/>.
/// Sums stay in one to four tiles while k goes by, a step at a time: with four, a step is four loads for four
/// multiplications, and each sum has its turn after the other three, by when its last one is done.
/// </summary>
internal readonly struct AmxWriter(Assembler code, AmxNumbers numbers, int rowTiles, int columnTiles)
{
    private static readonly AssemblerRegister64
        s_a = rax, s_lowerA = r10, s_rowA = rcx, s_b = rdx, s_rowB = rsi, s_c = r8, s_rowC = r9, s_steps = r11;

    private static int TileBytes => AmxShape.WholeStep;

    /// <summary>The tile of the sums of rows 16 i to 16 i + 15 and columns 16 j to 16 j + 15.</summary>
    public static int Sum(int i, int j) => (2 * i) + j;

    /// <summary>The tile of a for rows 16 i to 16 i + 15.</summary>
    public static int A(int i) => 4 + i;

    /// <summary>The tile of b for columns 16 j to 16 j + 15.</summary>
    public static int B(int j) => 6 + j;

    /// <summary>Writes the routine, its return included.</summary>
    public void Write()
    {
        LoadOperands();
        Start();
        Loop();
        Store();
        code.ret();
    }

    private void LoadOperands()
    {
        code.mov(s_a, Operand(nameof(AmxOperands.A)));
        code.mov(s_rowA, Operand(nameof(AmxOperands.RowA)));
        code.mov(s_b, Operand(nameof(AmxOperands.B)));
        code.mov(s_rowB, Operand(nameof(AmxOperands.RowB)));
        code.mov(s_c, Operand(nameof(AmxOperands.C)));
        code.mov(s_rowC, Operand(nameof(AmxOperands.RowC)));
    }

    /// <summary>The sums are what c holds, or zeros.</summary>
    private void Start()
    {
        var (zero, done) = (code.CreateLabel(), code.CreateLabel());
        code.mov(s_steps, Operand(nameof(AmxOperands.Add)));
        code.test(s_steps, s_steps);
        code.jz(zero);
        LowerRows(s_lowerA, s_c, s_rowC);
        for (var i = 0; i < rowTiles; i++)
            for (var j = 0; j < columnTiles; j++) code.tileloadd(Tile(Sum(i, j)), C(i, j));
        code.jmp(done);
        code.Label(ref zero);
        for (var i = 0; i < rowTiles; i++)
            for (var j = 0; j < columnTiles; j++) code.tilezero(Tile(Sum(i, j)));
        code.Label(ref done);
        LowerRows(s_lowerA, s_a, s_rowA);
    }

    private void Loop()
    {
        var (start, end) = (code.CreateLabel(), code.CreateLabel());
        code.mov(s_steps, Operand(nameof(AmxOperands.Steps)));
        code.test(s_steps, s_steps);
        code.jz(end);
        code.Label(ref start);
        for (var j = 0; j < columnTiles; j++) code.tileloadd(Tile(B(j)), __[s_b + s_rowB + (j * TileBytes)]);
        for (var i = 0; i < rowTiles; i++)
        {
            code.tileloadd(Tile(A(i)), __[(i == 0 ? s_a : s_lowerA) + s_rowA]);
            for (var j = 0; j < columnTiles; j++) Multiply(i, j);
        }

        code.add(s_a, Operand(nameof(AmxOperands.StepA)));
        if (rowTiles > 1) code.add(s_lowerA, Operand(nameof(AmxOperands.StepA)));
        code.add(s_b, Operand(nameof(AmxOperands.StepB)));
        code.dec(s_steps);
        code.jnz(start);
        code.Label(ref end);
    }

    private void Multiply(int i, int j)
    {
        switch (numbers)
        {
            case AmxNumbers.BFloat16: code.tdpbf16ps(Tile(Sum(i, j)), Tile(A(i)), Tile(B(j))); break;
            case AmxNumbers.SignedBytes: code.tdpbssd(Tile(Sum(i, j)), Tile(A(i)), Tile(B(j))); break;
            default: code.tdpbusd(Tile(Sum(i, j)), Tile(A(i)), Tile(B(j))); break;
        }
    }

    private void Store()
    {
        LowerRows(s_lowerA, s_c, s_rowC);
        for (var i = 0; i < rowTiles; i++)
            for (var j = 0; j < columnTiles; j++) code.tilestored(C(i, j), Tile(Sum(i, j)));
    }

    /// <summary><c>lower = upper + 16 row</c>, where there is a second tile of rows.</summary>
    private void LowerRows(AssemblerRegister64 lower, AssemblerRegister64 upper, AssemblerRegister64 row)
    {
        if (rowTiles == 1) return;
        code.mov(lower, row);
        code.shl(lower, 4);
        code.add(lower, upper);
    }

    /// <summary>Where a tile of c lies, once the address of the lower rows is where that of a's is otherwise.</summary>
    private static AssemblerMemoryOperand C(int i, int j) => __[(i == 0 ? s_c : s_lowerA) + s_rowC + (j * TileBytes)];

    private static AssemblerMemoryOperand Operand(string field) => AssembledCode.Field<AmxOperands>(field);

    private static AssemblerRegisterTMM Tile(int index) => new(Register.TMM0 + index);
}
