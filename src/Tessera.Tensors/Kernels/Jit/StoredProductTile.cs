using System.Runtime.CompilerServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// The innermost loop of a product with a quantized weight: 16 outputs of up to <see cref="MaxRows"/> rows. In each block,
/// <c>vpdpbusd</c> sums the products of unsigned bytes of the weight and signed bytes of the rows as integers; then each sum is
/// scaled and added in F32.
/// </summary>
internal static unsafe class StoredProductTile
{
    /// <summary>Integer and F32 sums of as many rows, and what they are made of, are all the registers there are.</summary>
    public const int MaxRows = 12;

    /// <summary>Outputs of a tile: lanes of a vector.</summary>
    public const int Outputs = 16;

    private const int Vector = 64;

    private static readonly nint[] s_routines = new nint[(MaxRows + 1) * 4];

    /// <summary>What a routine is given.</summary>
    public struct Arguments
    {
        /// <summary>For each block: quads × 16 outputs × 4 bytes, 16 scales, and 16 minima where there are any.</summary>
        public byte* Weights;

        /// <summary>A tile of <see cref="StoredProductRows"/>.</summary>
        public byte* Rows;

        public long Blocks;

        /// <summary>Where the first row's outputs go.</summary>
        public float* Y;

        /// <summary>Bytes from one row of y to the next.</summary>
        public long RowY;

        /// <summary>16 numbers to start each sum from.</summary>
        public float* Start;

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

    /// <summary>Bytes of a block of 16 outputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int BlockBytes(int quads, bool hasMinimum) => (quads + (hasMinimum ? 2 : 1)) * Vector;

    private static int Index(int rows, int quads, bool hasMinimum) => (rows * 4) + (quads / 8 * 2) + (hasMinimum ? 1 : 0);

    private static nint Assemble(int rows, int quads, bool hasMinimum)
    {
        lock (s_routines)
        {
            ref var routine = ref s_routines[Index(rows, quads, hasMinimum)];
            if (routine == 0) routine = (nint)AssembledCode.Assemble(assembler => Write(assembler, rows, quads, hasMinimum));
            return routine;
        }
    }

    private static AssemblerRegisterZMM Integers(int row) => Zmm(row);

    private static AssemblerRegisterZMM Floats(int row) => Zmm(MaxRows + row);

    private static void Write(Assembler a, int rows, int quads, bool hasMinimum)
    {
        var (weights, x, left, y, rowY, start) = (rsi, rdx, rcx, r8, r9, r10);
        a.mov(weights, Argument(nameof(Arguments.Weights)));
        a.mov(x, Argument(nameof(Arguments.Rows)));
        a.mov(left, Argument(nameof(Arguments.Blocks)));
        a.mov(y, Argument(nameof(Arguments.Y)));
        a.mov(rowY, Argument(nameof(Arguments.RowY)));
        a.mov(start, Argument(nameof(Arguments.Start)));
        a.kmovq(k1, Argument(nameof(Arguments.Mask)));
        for (var row = 0; row < rows; row++) a.vmovups(Floats(row), __zmmword_ptr[start]);

        var next = a.CreateLabel();
        a.Label(ref next);
        WriteBlock(a, rows, quads, hasMinimum);
        a.add(weights, BlockBytes(quads, hasMinimum));
        a.add(x, (quads + 3) * rows * sizeof(int));
        a.dec(left);
        a.jnz(next);

        for (var row = 0; row < rows; row++)
        {
            a.vmovups(__zmmword_ptr[y].k1, Floats(row));
            a.add(y, rowY);
        }

        a.vzeroupper();
        a.ret();
    }

    private static void WriteBlock(Assembler a, int rows, int quads, bool hasMinimum)
    {
        var (weights, x) = (rsi, rdx);
        var (scales, minima) = (zmm28, zmm29);
        for (var row = 0; row < rows; row++) a.vpbroadcastd(Integers(row), __dword_ptr[x + Fact(0, row)]);
        for (var quad = 0; quad < quads; quad++)
        {
            var vector = Zmm(24 + (quad % 4));
            a.vmovdqu32(vector, __zmmword_ptr[weights + (quad * Vector)]);
            for (var row = 0; row < rows; row++)
                a.vpdpbusd(Integers(row), vector, __dword_bcst[x + (((quad * rows) + row) * sizeof(int))]);
        }

        a.vmovups(scales, __zmmword_ptr[weights + (quads * Vector)]);
        for (var row = 0; row < rows; row++) a.vcvtdq2ps(Integers(row), Integers(row));
        for (var row = 0; row < rows; row++) a.vmulps(Integers(row), Integers(row), __dword_bcst[x + Fact(1, row)]);
        for (var row = 0; row < rows; row++) a.vfmadd231ps(Floats(row), Integers(row), scales);
        if (!hasMinimum) return;
        a.vmovups(minima, __zmmword_ptr[weights + ((quads + 1) * Vector)]);
        for (var row = 0; row < rows; row++) a.vfnmadd231ps(Floats(row), minima, __dword_bcst[x + Fact(2, row)]);

        int Fact(int which, int row) => (((quads + which) * rows) + row) * sizeof(int);
    }

    private static AssemblerMemoryOperand Argument(string field) => AssembledCode.Field<Arguments>(field);

    private static AssemblerRegisterZMM Zmm(int number) => new(Register.ZMM0 + number);
}
