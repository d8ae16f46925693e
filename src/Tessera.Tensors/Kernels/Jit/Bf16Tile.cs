using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>What <see cref="Bf16Tile.Run"/> multiplies; all strides are in bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Bf16TileOperands
{
    /// <summary>Rows of BF16, dense in k; or, where <see cref="StrideA"/> is 0, k/2 lots of pairs as in <see cref="B"/>, each for
    /// <see cref="Bf16Tile.LanesOfPairs"/> rows.</summary>
    public void* A;

    /// <summary>From one row to the next.</summary>
    public nint StrideA;

    /// <summary>k/2 rows of pairs: for each column the BF16 of an even k, then that of the odd one after it.</summary>
    public void* B;

    public nint StrideB;

    /// <summary>Rows of F32.</summary>
    public float* C;

    public nint StrideC;

    /// <summary>k/2, at least 1; where k is odd both a and b hold a zero beyond it.</summary>
    public nint Pairs;

    /// <summary>Whether to add to what c holds: 0 or 1.</summary>
    public nint Add;
}

/// <summary>
/// The innermost loop of a product of BF16 matrices: a tile <c>c = a b</c> or <c>c += a b</c> of up to 12 rows and 16 or 32
/// columns, whose F32 sums stay in registers while k goes by, for processors with AVX-512 BF16.
/// <para><c>vdpbf16ps</c> adds the products of a pair at a time, rounds to nearest even, and takes subnormal numbers as 0
/// (Intel, Architecture Instruction Set Extensions Programming Reference).</para>
/// </summary>
internal static unsafe class Bf16Tile
{
    /// <summary>The most rows: with two vectors a row, 24 of 32 registers hold sums.</summary>
    public const int MaxRows = 12;

    /// <summary>The columns of one vector.</summary>
    public const int VectorColumns = 16;

    /// <summary>For how many rows a holds pairs where it holds them: no fewer than a tile has.</summary>
    public const int LanesOfPairs = 16;

    private const int MaxVectors = 2, Sizes = MaxRows * MaxVectors, PairsAtOnce = 4, PairBytes = 4;

    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, void>[] s_tiles = AssembleAll();

    /// <summary>Computes one tile. b is read and c is written for all of its <c>16 · vectors</c> columns.</summary>
    /// <param name="rows">1 to <see cref="MaxRows"/>.</param>
    /// <param name="vectors">1 or 2.</param>
    /// <param name="operands">Where the matrices are.</param>
    public static void Run(int rows, int vectors, in Bf16TileOperands operands)
    {
        var size = ((rows - 1) * MaxVectors) + vectors - 1;
        fixed (Bf16TileOperands* arguments = &operands) s_tiles[operands.StrideA == 0 ? Sizes + size : size](arguments);
    }

    private static delegate* unmanaged[SuppressGCTransition]<void*, void>[] AssembleAll()
    {
        var tiles = new delegate* unmanaged[SuppressGCTransition]<void*, void>[2 * Sizes];
        for (var i = 0; i < tiles.Length; i++)
        {
            var (rows, vectors, paired) = ((i % Sizes / MaxVectors) + 1, (i % MaxVectors) + 1, i >= Sizes);
            tiles[i] = AssembledCode.Assemble(code => new Writer(code, rows, vectors, paired).Write());
        }

        return tiles;
    }

    /// <summary>Writes the routine of one size of tile.</summary>
    private readonly struct Writer(Assembler code, int rows, int vectors, bool paired)
    {
        // Rows 0 to 5 and 6 to 11 of a are reached from two pointers with multiples of the stride.
        private const int RowsOfPointer = 6;

        private static readonly AssemblerRegister64 s_a = rax, s_a6 = rcx, s_stride = rdx, s_stride3 = rsi, s_stride5 = r8,
            s_b = r9, s_strideB = r10, s_count = r11, s_next = rbx;

        public void Write()
        {
            code.push(s_next);
            Load();
            for (var row = 0; row < rows; row++)
                for (var vector = 0; vector < vectors; vector++) code.vpxord(Sum(row, vector), Sum(row, vector), Sum(row, vector));

            // A row of c is asked for in each of the first rounds: all at once they would keep b from arriving.
            Rounds();
            code.mov(s_next, rows);
            code.cmp(s_count, s_next);
            code.cmovg(s_count, s_next);
            code.mov(s_next, Operand(nameof(Bf16TileOperands.C)));
            Loop(PairsAtOnce, fetch: true);
            Rounds();
            code.sub(s_count, rows);
            Loop(PairsAtOnce);
            code.mov(s_count, Operand(nameof(Bf16TileOperands.Pairs)));
            code.and(s_count, PairsAtOnce - 1);
            Loop(1);
            Store();
            code.pop(s_next);
            code.vzeroupper();
            code.ret();
        }

        private void Load()
        {
            code.mov(s_a, Operand(nameof(Bf16TileOperands.A)));
            code.mov(s_stride, Operand(nameof(Bf16TileOperands.StrideA)));
            code.mov(s_b, Operand(nameof(Bf16TileOperands.B)));
            code.mov(s_strideB, Operand(nameof(Bf16TileOperands.StrideB)));
            code.lea(s_stride3, __[s_stride + (s_stride * 2)]);
            code.lea(s_stride5, __[s_stride + (s_stride * 4)]);
            code.lea(s_a6, __[s_a + (s_stride3 * 2)]);
        }

        /// <summary>Counts the whole rounds.</summary>
        private void Rounds()
        {
            code.mov(s_count, Operand(nameof(Bf16TileOperands.Pairs)));
            code.shr(s_count, (byte)int.Log2(PairsAtOnce));
        }

        /// <summary>As many rounds of <paramref name="pairs"/> steps as the counter says, none where it is 0 or less.</summary>
        private void Loop(int pairs, bool fetch = false)
        {
            var (start, end) = (code.CreateLabel(), code.CreateLabel());
            code.test(s_count, s_count);
            code.jle(end);
            code.Label(ref start);
            if (fetch)
            {
                for (var vector = 0; vector < vectors; vector++) code.prefetchw(__byte_ptr[s_next + (vector * 64)]);
                code.add(s_next, Operand(nameof(Bf16TileOperands.StrideC)));
            }

            for (var pair = 0; pair < pairs; pair++) Step(pair);
            code.add(s_a, pairs * PairBytes * (paired ? LanesOfPairs : 1));
            if (rows > RowsOfPointer && !paired) code.add(s_a6, pairs * PairBytes);
            code.dec(s_count);
            code.jnz(start);
            code.Label(ref end);
            code.nop();
        }

        private void Step(int pair)
        {
            for (var vector = 0; vector < vectors; vector++) code.vmovups(B(vector), __zmmword_ptr[s_b + (vector * 64)]);
            code.add(s_b, s_strideB);
            for (var row = 0; row < rows; row++)
                for (var vector = 0; vector < vectors; vector++) code.vdpbf16ps(Sum(row, vector), B(vector), __dword_bcst[A(row, pair)]);
        }

        private void Store()
        {
            var overwrite = code.CreateLabel();
            code.mov(s_a, Operand(nameof(Bf16TileOperands.C)));
            code.mov(s_stride, Operand(nameof(Bf16TileOperands.StrideC)));
            code.mov(s_count, Operand(nameof(Bf16TileOperands.Add)));
            code.mov(s_b, s_a);
            code.test(s_count, s_count);
            code.jz(overwrite);
            for (var row = 0; row < rows; row++)
            {
                for (var vector = 0; vector < vectors; vector++)
                    code.vaddps(Sum(row, vector), Sum(row, vector), __zmmword_ptr[s_a + (vector * 64)]);
                code.add(s_a, s_stride);
            }

            code.Label(ref overwrite);
            for (var row = 0; row < rows; row++)
            {
                for (var vector = 0; vector < vectors; vector++) code.vmovups(__zmmword_ptr[s_b + (vector * 64)], Sum(row, vector));
                code.add(s_b, s_stride);
            }
        }

        private static AssemblerMemoryOperand Operand(string field) => AssembledCode.Field<Bf16TileOperands>(field);

        private AssemblerMemoryOperand A(int row, int pair)
        {
            if (paired) return __[s_a + (((pair * LanesOfPairs) + row) * PairBytes)];
            var from = row < RowsOfPointer ? s_a : s_a6;
            var offset = pair * PairBytes;
            return (row % RowsOfPointer) switch
            {
                0 => __[from + offset],
                1 => __[from + s_stride + offset],
                2 => __[from + (s_stride * 2) + offset],
                3 => __[from + s_stride3 + offset],
                4 => __[from + (s_stride * 4) + offset],
                _ => __[from + s_stride5 + offset],
            };
        }

        private AssemblerRegisterZMM Sum(int row, int vector) => Register((row * vectors) + vector);

        private static AssemblerRegisterZMM B(int vector) => Register(31 - vector);

        private static AssemblerRegisterZMM Register(int index) => new(Iced.Intel.Register.ZMM0 + index);
    }
}
