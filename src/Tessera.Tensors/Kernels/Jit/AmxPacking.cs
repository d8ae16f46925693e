using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// Rounds rows of F32 to BF16 with the processor's own instruction for two vectors (<c>vcvtne2ps2bf16</c> of AVX-512 BF16:
/// to nearest even; subnormal numbers become 0, as which the products take them anyway). Tiles multiply so fast that rounding
/// by calculation takes almost half as long as multiplying with 256 columns; this takes half of that.
/// </summary>
internal static unsafe class AmxPacking
{
    /// <summary>What one instruction rounds.</summary>
    private const int Line = 32;

    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, void> s_rows = AssembledCode.Assemble(Write);

    /// <summary>Rounds rows of numbers that lie side by side; whole lines of 32 are written, zeros at the end of the last.</summary>
    /// <param name="from">The first row.</param>
    /// <param name="rowFrom">Elements from one row to the next.</param>
    /// <param name="rows">At least 1.</param>
    /// <param name="count">Numbers in a row, at least 1.</param>
    /// <param name="to">Where the first row goes.</param>
    /// <param name="rowTo">Bytes from one row to the next there.</param>
    public static void Rows(float* from, int rowFrom, int rows, int count, byte* to, int rowTo)
    {
        var lines = (count - 1) / Line;
        var last = (1UL << (count - (lines * Line))) - 1;
        var operands = new Operands
        {
            From = from, RowFrom = (nint)rowFrom * sizeof(float), To = to, RowTo = rowTo, Rows = rows, Lines = lines,
            Low = (nint)(last & 0xFFFF), High = (nint)(last >> 16),
        };
        s_rows(&operands);
    }

    private static void Write(Assembler code)
    {
        var (row, line, last) = (code.CreateLabel(), code.CreateLabel(), code.CreateLabel());
        code.mov(rax, Operand(nameof(Operands.Low)));
        code.kmovw(k1, eax);
        code.mov(rax, Operand(nameof(Operands.High)));
        code.kmovw(k2, eax);
        code.mov(rax, Operand(nameof(Operands.From)));
        code.mov(rcx, Operand(nameof(Operands.RowFrom)));
        code.mov(rdx, Operand(nameof(Operands.To)));
        code.mov(rsi, Operand(nameof(Operands.RowTo)));
        code.mov(r8, Operand(nameof(Operands.Rows)));
        code.mov(r9, Operand(nameof(Operands.Lines)));
        code.Label(ref row);
        code.mov(r10, rax);
        code.mov(r11, rdx);
        code.mov(rdi, r9);
        code.test(rdi, rdi);
        code.jz(last);
        code.Label(ref line);
        code.vmovups(zmm0, __zmmword_ptr[r10 + 64]);
        code.vcvtne2ps2bf16(zmm0, zmm0, __zmmword_ptr[r10]);
        code.vmovups(__zmmword_ptr[r11], zmm0);
        code.add(r10, 128);
        code.add(r11, 64);
        code.dec(rdi);
        code.jnz(line);

        // The last line of a row, full or not; what is masked is not read.
        code.Label(ref last);
        code.vmovups(zmm1.k1.z, __zmmword_ptr[r10]);
        code.vmovups(zmm0.k2.z, __zmmword_ptr[r10 + 64]);
        code.vcvtne2ps2bf16(zmm0, zmm0, zmm1);
        code.vmovups(__zmmword_ptr[r11], zmm0);
        code.add(rax, rcx);
        code.add(rdx, rsi);
        code.dec(r8);
        code.jnz(row);
        code.vzeroupper();
        code.ret();
    }

    private static AssemblerMemoryOperand Operand(string field) => __qword_ptr[rdi + (int)Marshal.OffsetOf<Operands>(field)];

    /// <summary>What the routine reads; distances in bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Operands
    {
        public float* From;
        public nint RowFrom;
        public void* To;
        public nint RowTo, Rows;

        /// <summary>Lines of a row before its last.</summary>
        public nint Lines;

        /// <summary>Which of the first and of the second 16 numbers of the last line there are.</summary>
        public nint Low, High;
    }
}
