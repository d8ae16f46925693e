using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// The small products that attention consists of, in BF16: <c>c = a b</c> or <c>c += a b</c> in F32, where every 32-bit word of a
/// and b holds two factors that are neighbours in the sum. A word of a is read at a time, with any strides, and b and c a vector at
/// a time; blocks of 4 rows × 4 vectors (or 2) of c stay in registers. For levels from <see cref="KernelLevel.Avx512Bf16"/> up.
/// </summary>
internal static unsafe class AttentionProduct
{
    /// <summary>Columns of b and c must be a multiple of this.</summary>
    public const int Columns = 2 * Lanes;

    private const int Lanes = 16, Rows = 4;

    private static readonly AssemblerRegisterZMM[] s_columns = [zmm0, zmm1, zmm2, zmm3];

    private static readonly AssemblerRegisterZMM[] s_sums =
        [zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31];

    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, void> s_two = AssembledCode.Assemble(code => Write(code, 2));
    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, void> s_four = AssembledCode.Assemble(code => Write(code, 4));

    /// <param name="a">m × k words, word (i, l) at <c>a[i·aRow + l·aColumn]</c>.</param>
    /// <param name="aRow">Words between rows of a.</param>
    /// <param name="aColumn">Words between columns of a.</param>
    /// <param name="b">k × n words, rows <paramref name="bRow"/> apart.</param>
    /// <param name="bRow">Words between rows of b.</param>
    /// <param name="c">m × n, rows <paramref name="cRow"/> apart.</param>
    /// <param name="cRow">Elements between rows of c.</param>
    /// <param name="m">Rows of a and c, at least 1.</param>
    /// <param name="n">Columns of b and c, a multiple of <see cref="Columns"/>.</param>
    /// <param name="k">Words of a row of a, at least 1.</param>
    /// <param name="add">Whether to add to what c holds.</param>
    public static void Run(float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int m, int n, int k, bool add)
    {
        for (var column = 0; column < n;)
        {
            var four = n - column >= 4 * Lanes;
            var arguments = new Arguments
            {
                A = a, ARow = aRow * sizeof(float), AColumn = aColumn * sizeof(float), B = b + column, BRow = bRow * sizeof(float),
                C = c + column, CRow = cRow * sizeof(float), Rows = m, Depth = k, Add = add ? 1 : 0,
            };
            if (four) s_four(&arguments);
            else s_two(&arguments);
            column += (four ? 4 : 2) * Lanes;
        }
    }

    /// <summary>What a routine is given; strides in bytes. It moves <see cref="A"/> and <see cref="C"/> on and counts <see cref="Rows"/>
    /// down.</summary>
    private struct Arguments
    {
        public float* A, B, C;
        public nint ARow, AColumn, BRow, CRow, Rows, Depth, Add;
    }

    private static AssemblerMemoryOperand Argument(string field) => AssembledCode.Field<Arguments>(field);

    private static void Write(Assembler code, int vectors)
    {
        AssemblerRegister64[] a = [rax, rcx, rdx, rsi], c = [r12, r13, r14, r15];
        Label block = code.CreateLabel(), add = code.CreateLabel(), sum = code.CreateLabel(), word = code.CreateLabel();
        foreach (var kept in c) code.push(kept);

        code.Label(ref block);
        WriteRows(code, a, nameof(Arguments.A), nameof(Arguments.ARow));
        WriteRows(code, c, nameof(Arguments.C), nameof(Arguments.CRow));
        code.cmp(Argument(nameof(Arguments.Add)), 0);
        code.jne(add);
        ForEach(vectors, (row, vector) => code.vpxord(Sum(row, vector), Sum(row, vector), Sum(row, vector)));
        code.jmp(sum);
        code.Label(ref add);
        ForEach(vectors, (row, vector) => code.vmovups(Sum(row, vector), __zmmword_ptr[c[row] + (64 * vector)]));
        code.Label(ref sum);
        code.mov(r8, Argument(nameof(Arguments.B)));
        code.mov(r9, Argument(nameof(Arguments.Depth)));
        code.mov(r10, Argument(nameof(Arguments.AColumn)));
        code.mov(r11, Argument(nameof(Arguments.BRow)));

        code.Label(ref word);
        for (var vector = 0; vector < vectors; vector++) code.vmovups(B(vector), __zmmword_ptr[r8 + (64 * vector)]);
        for (var row = 0; row < Rows; row++)
        {
            var factor = row % 2 == 0 ? zmm4 : zmm5;
            code.vpbroadcastd(factor, __dword_ptr[a[row]]);
            code.add(a[row], r10);
            for (var vector = 0; vector < vectors; vector++) code.vdpbf16ps(Sum(row, vector), factor, B(vector));
        }

        code.add(r8, r11);
        code.dec(r9);
        code.jne(word);

        ForEach(vectors, (row, vector) => code.vmovups(__zmmword_ptr[c[row] + (64 * vector)], Sum(row, vector)));
        WriteAdvance(code, nameof(Arguments.A), nameof(Arguments.ARow));
        WriteAdvance(code, nameof(Arguments.C), nameof(Arguments.CRow));
        code.sub(Argument(nameof(Arguments.Rows)), Rows);
        code.jg(block);

        foreach (var kept in c.Reverse()) code.pop(kept);
        code.vzeroupper();
        code.ret();
    }

    /// <summary>Addresses of the block's rows. Where fewer are left, the missing ones are the last one again: the same sums, stored
    /// to the same place.</summary>
    private static void WriteRows(Assembler code, AssemblerRegister64[] rows, string first, string stride)
    {
        code.mov(rows[0], Argument(first));
        for (var row = 1; row < Rows; row++)
        {
            code.mov(rows[row], rows[row - 1]);
            code.mov(r8, rows[row - 1]);
            code.add(r8, Argument(stride));
            code.cmp(Argument(nameof(Arguments.Rows)), row);
            code.cmovg(rows[row], r8);
        }
    }

    private static void WriteAdvance(Assembler code, string first, string stride)
    {
        code.mov(r8, Argument(stride));
        code.shl(r8, 2); // four rows
        code.add(Argument(first), r8);
    }

    private static void ForEach(int vectors, Action<int, int> write)
    {
        for (var row = 0; row < Rows; row++)
            for (var vector = 0; vector < vectors; vector++) write(row, vector);
    }

    private static AssemblerRegisterZMM B(int vector) => s_columns[vector];

    private static AssemblerRegisterZMM Sum(int row, int vector) => s_sums[(4 * row) + vector];
}
