using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Rounds F32 numbers to BF16, to nearest even, for processors with AVX-512 BF16. As in <c>vdpbf16ps</c>, for which the
/// results are meant, subnormal numbers count as 0; what is not a number stays so.
/// </summary>
internal static unsafe class Bf16Rounding
{
    /// <summary>How many numbers are converted at a time, and how many columns are put side by side at most.</summary>
    public const int AtOnce = 32;

    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, void>
        s_rows = AssembledCode.Assemble(WriteRows), s_pairs = AssembledCode.Assemble(WritePairs);

    private static ReadOnlySpan<ushort> Order =>
        [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];

    /// <summary>Rounds rows; each is followed by zeros to a multiple of <see cref="AtOnce"/>. Strides are in bytes.</summary>
    /// <param name="count">Numbers in a row, at least 1.</param>
    public static void Rows(float* from, nint strideFrom, int rows, int count, ushort* to, nint strideTo)
    {
        var arguments = new Arguments
        {
            From = from, StrideFrom = strideFrom, To = to, StrideTo = strideTo, Rows = rows, Whole = (count - 1) / AtOnce,
            Mask = uint.MaxValue >> (AtOnce - 1 - ((count - 1) % AtOnce)),
        };
        s_rows(&arguments);
    }

    /// <summary>Rounds rows and puts the columns of each two side by side: <c>to[pair][column][2]</c>, with zeros beyond the
    /// last row and to <paramref name="width"/> columns. Strides are in bytes.</summary>
    /// <param name="columns">1 to <paramref name="width"/>.</param>
    /// <param name="width">16 or 32.</param>
    public static void Pairs(float* from, nint strideFrom, int rows, int columns, int width, uint* to)
    {
        var arguments = new Arguments
        {
            From = from, StrideFrom = strideFrom, To = to, StrideTo = width * sizeof(uint), Rows = rows, Whole = width > 16 ? 1 : 0,
            Mask = uint.MaxValue >> (AtOnce - columns),
        };
        fixed (ushort* order = Order)
        {
            arguments.Order = order;
            s_pairs(&arguments);
        }
    }

    private static void WriteRows(Assembler code)
    {
        var (row, piece, last) = (code.CreateLabel(), code.CreateLabel(), code.CreateLabel());
        Load(code);
        code.Label(ref row);
        code.mov(rsi, rax);
        code.mov(r11, rdx);
        code.mov(r10, Argument(nameof(Arguments.Whole)));
        code.test(r10, r10);
        code.jz(last);

        code.Label(ref piece);
        code.vmovups(zmm0, __zmmword_ptr[rsi + 64]);
        code.vcvtne2ps2bf16(zmm0, zmm0, __zmmword_ptr[rsi]);
        code.vmovups(__zmmword_ptr[r11], zmm0);
        code.add(rsi, 128);
        code.add(r11, 64);
        code.dec(r10);
        code.jnz(piece);

        code.Label(ref last);
        code.vmovups(zmm0.k1.z, __zmmword_ptr[rsi]);
        code.vmovups(zmm1.k2.z, __zmmword_ptr[rsi + 64]);
        code.vcvtne2ps2bf16(zmm0, zmm1, zmm0);
        code.vmovups(__zmmword_ptr[r11], zmm0);
        code.add(rax, rcx);
        code.add(rdx, r8);
        code.dec(r9);
        code.jnz(row);
        code.vzeroupper();
        code.ret();
    }

    private static void WritePairs(Assembler code)
    {
        var (pair, single, join, narrow) =
            (code.CreateLabel(), code.CreateLabel(), code.CreateLabel(), code.CreateLabel());
        Load(code);
        code.mov(r10, Argument(nameof(Arguments.Order)));
        code.vmovups(zmm31, __zmmword_ptr[r10]);
        code.mov(r10, Argument(nameof(Arguments.Whole)));

        code.Label(ref pair);
        code.vmovups(zmm0.k1.z, __zmmword_ptr[rax]);
        code.vmovups(zmm1.k2.z, __zmmword_ptr[rax + 64]);
        code.cmp(r9, 1);
        code.je(single);
        code.vmovups(zmm2.k1.z, __zmmword_ptr[rax + rcx]);
        code.vmovups(zmm3.k2.z, __zmmword_ptr[rax + rcx + 64]);
        code.jmp(join);
        code.Label(ref single);
        code.vpxord(zmm2, zmm2, zmm2);
        code.vpxord(zmm3, zmm3, zmm3);
        code.Label(ref join);
        code.vcvtne2ps2bf16(zmm0, zmm2, zmm0);
        code.vpermw(zmm0, zmm31, zmm0);
        code.vmovups(__zmmword_ptr[rdx], zmm0);
        code.test(r10, r10);
        code.jz(narrow);
        code.vcvtne2ps2bf16(zmm1, zmm3, zmm1);
        code.vpermw(zmm1, zmm31, zmm1);
        code.vmovups(__zmmword_ptr[rdx + 64], zmm1);
        code.Label(ref narrow);
        code.lea(rax, __[rax + (rcx * 2)]);
        code.add(rdx, r8);
        code.sub(r9, 2);
        code.jg(pair);
        code.vzeroupper();
        code.ret();
    }

    /// <summary>rax: from, rcx: its stride; rdx: to, r8: its stride; r9: rows; k1 and k2: the mask's two halves.</summary>
    private static void Load(Assembler code)
    {
        code.mov(rax, Argument(nameof(Arguments.From)));
        code.mov(rcx, Argument(nameof(Arguments.StrideFrom)));
        code.mov(rdx, Argument(nameof(Arguments.To)));
        code.mov(r8, Argument(nameof(Arguments.StrideTo)));
        code.mov(r9, Argument(nameof(Arguments.Rows)));
        code.mov(r10, Argument(nameof(Arguments.Mask)));
        code.kmovw(k1, r10d);
        code.shr(r10, 16);
        code.kmovw(k2, r10d);
    }

    private static AssemblerMemoryOperand Argument(string field) => AssembledCode.Field<Arguments>(field);

    [StructLayout(LayoutKind.Sequential)]
    private struct Arguments
    {
        public void* From, To;
        public nint StrideFrom, StrideTo;

        public nint Rows;

        /// <summary>Whole pieces of a row before the last; for pairs, whether there are more than 16 columns.</summary>
        public nint Whole;

        /// <summary>Which numbers of the last piece there are.</summary>
        public ulong Mask;

        /// <summary>From two halves to pairs.</summary>
        public ushort* Order;
    }
}
