using System.Runtime.CompilerServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// The innermost loop of a product with a quantized weight: 32 outputs of up to <see cref="MaxRows"/> rows, over some blocks of columns. In
/// each block, <c>vpdpbusd</c> sums the products of unsigned bytes of the rows and signed bytes of the weight as integers; then each sum is
/// scaled and added in F32.
/// <para>Of 12 registers of sums, 8 multiplications each and 3 instructions that scale make up a block: 73 % of the instructions on the two
/// busy ports multiply. What is loaded for a row serves two registers, so that loads keep up.</para>
/// </summary>
internal static unsafe class StoredProductTile
{
    /// <summary>Integer and F32 sums of as many rows, and what they are made of, are all the registers there are.</summary>
    public const int MaxRows = 6;

    /// <summary>Outputs of a tile: lanes of two vectors.</summary>
    public const int Outputs = 32;

    private const int Vector = 64, Vectors = 2;

    private static readonly nint[] s_routines = new nint[(MaxRows + 1) * 4];

    /// <summary>What a routine is given.</summary>
    public struct Arguments
    {
        /// <summary>Blocks of a <see cref="StoredProductPacking">panel</see>.</summary>
        public byte* Weights;

        /// <summary>As many blocks of a tile of <see cref="StoredProductRows"/>.</summary>
        public byte* Rows;

        /// <summary>At least one.</summary>
        public long Blocks;

        /// <summary>Where the first row's outputs go.</summary>
        public float* Y;

        /// <summary>Bytes from one row of y to the next.</summary>
        public long RowY;

        /// <summary>32 numbers that the first row's sums start from.</summary>
        public float* Start;

        /// <summary>Bytes from those to the next row's.</summary>
        public long RowStart;

        /// <summary>Bit n: whether output n is there.</summary>
        public ulong Mask;
    }

    /// <summary>The routine for as many rows, assembled when first asked for.</summary>
    /// <param name="rows">1 to <see cref="MaxRows"/>.</param>
    /// <param name="quads">Columns of a block, over four: 8 or 4.</param>
    /// <param name="hasMinimum">Whether the weight's blocks have minima.</param>
    public static delegate* unmanaged[SuppressGCTransition]<void*, void> Routine(int rows, int quads, bool hasMinimum)
    {
        var address = Volatile.Read(ref s_routines[Index(rows, quads, hasMinimum)]);
        return (delegate* unmanaged[SuppressGCTransition]<void*, void>)(address != 0 ? address : Assemble(rows, quads, hasMinimum));
    }

    private static int Index(int rows, int quads, bool hasMinimum) => (rows * 4) + (quads / 8 * 2) + (hasMinimum ? 1 : 0);

    private static nint Assemble(int rows, int quads, bool hasMinimum)
    {
        lock (s_routines)
        {
            ref var routine = ref s_routines[Index(rows, quads, hasMinimum)];
            if (routine == 0) routine = (nint)AssembledCode.Assemble(a => new Writer(a, rows, new(quads, hasMinimum)).Write());
            return routine;
        }
    }

    private readonly struct Writer(Assembler a, int rows, StoredProductLayout layout)
    {
        private static readonly AssemblerRegister64
            s_weights = rsi, s_x = rdx, s_left = rcx, s_y = r8, s_rowY = r9, s_start = r10, s_rowStart = r11;

        public void Write()
        {
            a.mov(s_weights, Argument(nameof(Arguments.Weights)));
            a.mov(s_x, Argument(nameof(Arguments.Rows)));
            a.mov(s_left, Argument(nameof(Arguments.Blocks)));
            a.mov(s_y, Argument(nameof(Arguments.Y)));
            a.mov(s_rowY, Argument(nameof(Arguments.RowY)));
            a.mov(s_start, Argument(nameof(Arguments.Start)));
            a.mov(s_rowStart, Argument(nameof(Arguments.RowStart)));
            a.mov(rax, Argument(nameof(Arguments.Mask)));
            a.kmovd(k1, eax);
            a.kshiftrd(k2, k1, 16);
            for (var row = 0; row < rows; row++)
            {
                a.vmovups(Floats(row, 0).k1.z, __zmmword_ptr[s_start]);
                a.vmovups(Floats(row, 1).k2.z, __zmmword_ptr[s_start + Vector]);
                a.add(s_start, s_rowStart);
            }

            var next = a.CreateLabel();
            a.Label(ref next);
            WriteBlock();
            a.add(s_weights, layout.BlockBytes);
            a.add(s_x, layout.RowBytes * rows);
            a.dec(s_left);
            a.jnz(next);

            for (var row = 0; row < rows; row++)
            {
                a.vmovups(__zmmword_ptr[s_y].k1, Floats(row, 0));
                a.vmovups(__zmmword_ptr[s_y + Vector].k2, Floats(row, 1));
                a.add(s_y, s_rowY);
            }

            a.vzeroupper();
            a.ret();
        }

        private void WriteBlock()
        {
            for (var row = 0; row < rows; row++)
                for (var half = 0; half < Vectors; half++)
                    a.vmovdqu32(Integers(row, half), __zmmword_ptr[s_weights + layout.Offsets + (half * Vector)]);
            for (var quad = 0; quad < layout.Quads; quad++)
            {
                var (first, second) = (Zmm(24 + (quad % 2 * 2)), Zmm(25 + (quad % 2 * 2)));
                a.vmovdqu32(first, __zmmword_ptr[s_weights + (quad * Vectors * Vector)]);
                a.vmovdqu32(second, __zmmword_ptr[s_weights + (((quad * Vectors) + 1) * Vector)]);
                for (var row = 0; row < rows; row++)
                {
                    var x = Row(row);
                    a.vpbroadcastd(x, __dword_ptr[s_x + (((quad * rows) + row) * sizeof(int))]);
                    a.vpdpbusd(Integers(row, 0), x, first);
                    a.vpdpbusd(Integers(row, 1), x, second);
                }
            }

            WriteScales();
            if (layout.HasMinimum) WriteMinima();
        }

        private void WriteScales()
        {
            a.vmovups(zmm24, __zmmword_ptr[s_weights + layout.Scales]);
            a.vmovups(zmm25, __zmmword_ptr[s_weights + layout.Scales + Vector]);
            for (var row = 0; row < rows; row++)
            {
                a.vbroadcastss(Row(row), Fact(0, row));
                for (var half = 0; half < Vectors; half++)
                {
                    a.vcvtdq2ps(Integers(row, half), Integers(row, half));
                    a.vmulps(Integers(row, half), Integers(row, half), Row(row));
                    a.vfmadd231ps(Floats(row, half), Integers(row, half), Zmm(24 + half));
                }
            }
        }

        private void WriteMinima()
        {
            a.vmovups(zmm26, __zmmword_ptr[s_weights + layout.Minima]);
            a.vmovups(zmm27, __zmmword_ptr[s_weights + layout.Minima + Vector]);
            for (var row = 0; row < rows; row++)
            {
                a.vbroadcastss(Row(row), Fact(1, row));
                for (var half = 0; half < Vectors; half++) a.vfnmadd231ps(Floats(row, half), Zmm(26 + half), Row(row));
            }
        }

        private AssemblerMemoryOperand Fact(int which, int row) =>
            __dword_ptr[s_x + ((((layout.Quads + which) * rows) + row) * sizeof(float))];

        private static AssemblerRegisterZMM Integers(int row, int half) => Zmm((row * Vectors) + half);

        private static AssemblerRegisterZMM Floats(int row, int half) => Zmm((MaxRows * Vectors) + (row * Vectors) + half);

        private static AssemblerRegisterZMM Row(int row) => Zmm(28 + (row % 4));

        private static AssemblerMemoryOperand Argument(string field) => AssembledCode.Field<Arguments>(field);

        private static AssemblerRegisterZMM Zmm(int number) => new(Register.ZMM0 + number);
    }
}
