using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>What <see cref="Bf16Dots.Run"/> multiplies; strides are in bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Bf16DotOperands
{
    /// <summary>Up to 4 rows of BF16, dense in k.</summary>
    public void* A;

    public nint StrideA;

    /// <summary>Up to 4 rows of BF16, dense in k.</summary>
    public void* B;

    public nint StrideB;

    /// <summary>[rows of a, 4 of b, 16]: partial sums of each dot product, written.</summary>
    public float* Sums;

    /// <summary>k / 32.</summary>
    public nint Whole;

    /// <summary>Which of the 32 numbers after the whole ones there are; none are read beyond them.</summary>
    public nuint Mask;
}

/// <summary>
/// Dot products of a few rows with a few others, both BF16 where they lie, for processors with AVX-512 BF16: what decoding
/// with BF16 weights consists of. Sums are F32.
/// </summary>
internal static unsafe class Bf16Dots
{
    /// <summary>The most rows of either side at once.</summary>
    public const int Max = 4;

    /// <summary>Numbers a step of k.</summary>
    public const int AtOnce = 32;

    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, void>[] s_routines = AssembleAll();

    /// <summary>Computes the partial sums of <paramref name="rows"/> × <paramref name="others"/> dot products, 1 to 4 each.</summary>
    public static void Run(int rows, int others, in Bf16DotOperands operands)
    {
        fixed (Bf16DotOperands* arguments = &operands) s_routines[((rows - 1) * Max) + others - 1](arguments);
    }

    private static delegate* unmanaged[SuppressGCTransition]<void*, void>[] AssembleAll()
    {
        var routines = new delegate* unmanaged[SuppressGCTransition]<void*, void>[Max * Max];
        for (var i = 0; i < routines.Length; i++)
        {
            var (rows, others) = ((i / Max) + 1, (i % Max) + 1);
            routines[i] = AssembledCode.Assemble(code => new Writer(code, rows, others).Write());
        }

        return routines;
    }

    private readonly struct Writer(Assembler code, int rows, int others)
    {
        private const int Bytes = 64;

        private static readonly AssemblerRegister64 s_a = rax,
            s_strideA = rcx,
            s_strideA3 = rdx,
            s_b = rsi,
            s_strideB = r8,
            s_strideB3 = r9,
            s_count = r10;

        public void Write()
        {
            var (start, last, end) = (code.CreateLabel(), code.CreateLabel(), code.CreateLabel());
            code.mov(s_a, Operand(nameof(Bf16DotOperands.A)));
            code.mov(s_strideA, Operand(nameof(Bf16DotOperands.StrideA)));
            code.mov(s_b, Operand(nameof(Bf16DotOperands.B)));
            code.mov(s_strideB, Operand(nameof(Bf16DotOperands.StrideB)));
            code.lea(s_strideA3, __[s_strideA + (s_strideA * 2)]);
            code.lea(s_strideB3, __[s_strideB + (s_strideB * 2)]);
            for (var row = 0; row < rows; row++)
                for (var other = 0; other < others; other++) code.vpxord(Sum(row, other), Sum(row, other), Sum(row, other));

            code.mov(s_count, Operand(nameof(Bf16DotOperands.Whole)));
            code.test(s_count, s_count);
            code.jz(last);
            code.Label(ref start);
            Step(masked: false);
            code.add(s_a, Bytes);
            code.add(s_b, Bytes);
            code.dec(s_count);
            code.jnz(start);

            code.Label(ref last);
            code.mov(s_count, Operand(nameof(Bf16DotOperands.Mask)));
            code.test(s_count, s_count);
            code.jz(end);
            code.kmovd(k1, r10d);
            Step(masked: true);
            code.Label(ref end);
            code.mov(s_a, Operand(nameof(Bf16DotOperands.Sums)));
            for (var row = 0; row < rows; row++)
                for (var other = 0; other < others; other++)
                    code.vmovups(__zmmword_ptr[s_a + (((row * Max) + other) * Bytes)], Sum(row, other));
            code.vzeroupper();
            code.ret();
        }

        private void Step(bool masked)
        {
            for (var other = 0; other < others; other++) Load(B(other), At(s_b, s_strideB, s_strideB3, other), masked);
            for (var row = 0; row < rows; row++)
            {
                Load(A, At(s_a, s_strideA, s_strideA3, row), masked);
                for (var other = 0; other < others; other++) code.vdpbf16ps(Sum(row, other), A, B(other));
            }
        }

        private void Load(AssemblerRegisterZMM to, AssemblerMemoryOperand from, bool masked)
        {
            if (masked) code.vmovdqu16(to.k1.z, from);
            else code.vmovups(to, from);
        }

        private static AssemblerMemoryOperand At(
            AssemblerRegister64 from, AssemblerRegister64 stride, AssemblerRegister64 stride3, int row) =>
            row switch
            {
                0 => __zmmword_ptr[from],
                1 => __zmmword_ptr[from + stride],
                2 => __zmmword_ptr[from + (stride * 2)],
                _ => __zmmword_ptr[from + stride3],
            };

        private static AssemblerMemoryOperand Operand(string field) => AssembledCode.Field<Bf16DotOperands>(field);

        private static AssemblerRegisterZMM A => Register(31);

        private static AssemblerRegisterZMM B(int other) => Register(24 + other);

        private static AssemblerRegisterZMM Sum(int row, int other) => Register((row * Max) + other);

        private static AssemblerRegisterZMM Register(int index) => new(Iced.Intel.Register.ZMM0 + index);
    }
}
