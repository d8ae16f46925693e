using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>
/// One rounded row times some outputs of a quantized weight, which is read where it lies, at the speed of memory: a part of 32
/// elements takes some eight instructions. <c>vpdpbusd</c> wants one side unsigned, so the weight's signs move to the row.
/// </summary>
internal static unsafe class StoredProductDot
{
    /// <summary>Parts whose scales are computed together; the row's columns are whole groups.</summary>
    public const int Group = 8;

    /// <summary>Bytes of scratch memory that a routine needs.</summary>
    public const int ScratchBytes = 64;

    private const int Part = QuantizedActivations.Block;

    private static readonly nint[] s_routines = new nint[4];

    /// <summary>What a routine is given, and counts in.</summary>
    public struct Arguments
    {
        /// <summary>The first output's row of the weight.</summary>
        public byte* Weights;

        /// <summary>Bytes from one output to the next.</summary>
        public long RowBytes;

        /// <summary>At least one.</summary>
        public long Outputs;

        /// <summary>The row: its numbers, the scales of its parts, and their sums.</summary>
        public sbyte* X;

        public float* Scales, Sums;

        /// <summary>Columns over 256, at least one.</summary>
        public long Groups;

        /// <summary>Where the outputs go.</summary>
        public float* Y;

        public byte* Scratch;
    }

    /// <summary>Whether there is a routine for a quantized type.</summary>
    public static bool Has(ElementType type) => type - ElementType.Q8_0 < s_routines.Length;

    /// <summary>The routine for a quantized type, assembled when first asked for.</summary>
    public static delegate* unmanaged[SuppressGCTransition]<void*, void> Routine(ElementType type)
    {
        var address = Volatile.Read(ref s_routines[type - ElementType.Q8_0]);
        return (delegate* unmanaged[SuppressGCTransition]<void*, void>)(address != 0 ? address : Assemble(type));
    }

    private static nint Assemble(ElementType type)
    {
        lock (s_routines)
        {
            ref var routine = ref s_routines[type - ElementType.Q8_0];
            if (routine == 0) routine = (nint)AssembledCode.Assemble(assembler => new Writer(assembler, type).Write());
            return routine;
        }
    }

    private readonly struct Writer(Assembler a, ElementType type)
    {
        private static readonly AssemblerRegister64 s_w = rsi, s_x = rdx, s_scales = rcx, s_sums = r8, s_left = r9, s_scratch = r10;

        // Sums of even and odd parts, then constants.
        private static readonly AssemblerRegisterYMM s_even = ymm14, s_odd = ymm15;
        private static readonly AssemblerRegisterYMM s_15 = ymm8, s_3 = ymm9, s_zero = ymm10;
        private static readonly AssemblerRegisterXMM s_63 = xmm11, s_48 = xmm12, s_15Short = xmm8, s_shifts = xmm13;
        private static readonly AssemblerRegisterZMM s_pairs = zmm7;

        // Where an instruction has two encodings, evex asks for that of AVX-512: vpdpbusd has another of AVX-VNNI, and only it has masks.
        public void Write()
        {
            WriteConstants();
            a.mov(s_scratch, Argument(nameof(Arguments.Scratch)));
            var (nextOutput, nextGroup) = (a.CreateLabel(), a.CreateLabel());
            a.Label(ref nextOutput);
            a.mov(s_w, Argument(nameof(Arguments.Weights)));
            a.mov(s_x, Argument(nameof(Arguments.X)));
            a.mov(s_scales, Argument(nameof(Arguments.Scales)));
            a.mov(s_sums, Argument(nameof(Arguments.Sums)));
            a.mov(s_left, Argument(nameof(Arguments.Groups)));
            a.vxorps(s_even, s_even, s_even);
            a.vxorps(s_odd, s_odd, s_odd);

            a.Label(ref nextGroup);
            WriteScales();
            for (var part = 0; part < Group; part++) WritePart(part);
            a.add(s_w, Group * Part / type.BlockElements() * type.BlockBytes());
            a.add(s_x, Group * Part);
            a.add(s_scales, Group * sizeof(float));
            a.add(s_sums, Group * sizeof(float));
            a.dec(s_left);
            a.jnz(nextGroup);

            WriteSum();
            a.mov(rax, Argument(nameof(Arguments.RowBytes)));
            a.add(Argument(nameof(Arguments.Weights)), rax);
            a.add(Argument(nameof(Arguments.Y)), sizeof(float));
            a.dec(Argument(nameof(Arguments.Outputs)));
            a.jnz(nextOutput);
            a.vzeroupper();
            a.ret();
        }

        private void WriteConstants()
        {
            a.mov(eax, 0x0F0F0F0F);
            a.vpbroadcastd(s_15, eax);
            if (type == ElementType.Q4_0)
            {
                a.mov(eax, 0x08080808);
                a.vpbroadcastd(s_zero, eax);
            }

            if (type == ElementType.Q4_K)
            {
                a.mov(eax, 0x3F3F3F3F);
                a.vpbroadcastd(s_63, eax);
                a.mov(eax, 0x30303030);
                a.vpbroadcastd(s_48, eax);
                a.mov(rax, 4L << 32);
                a.vmovq(s_shifts, rax);
            }

            if (type == ElementType.Q6_K)
            {
                a.mov(eax, 0x03030303);
                a.vpbroadcastd(s_3, eax);
                a.mov(eax, 0x20202020);
                a.vpbroadcastd(s_zero, eax);
                a.mov(eax, 0xF0);
                a.kmovd(k1, eax);
                a.mov(rax, 0x0303020201010000);
                a.vmovq(xmm0, rax);
                a.mov(rax, 0x0707060605050404);
                a.vmovq(xmm1, rax);
                a.vpunpcklqdq(xmm0, xmm0, xmm1);
                a.vpmovzxbd(s_pairs, xmm0);
            }
        }

        /// <summary>The group's scales times the row's go to the scratch memory; minima are taken from the sum.</summary>
        private void WriteScales()
        {
            switch (type)
            {
                case ElementType.Q8_0 or ElementType.Q4_0:
                    a.vpxor(xmm0, xmm0, xmm0);
                    for (var part = 0; part < Group; part++)
                        a.vpinsrw(xmm0, xmm0, __word_ptr[s_w + (part * type.BlockBytes())], (byte)part);
                    a.vcvtph2ps(ymm0, xmm0);
                    break;
                case ElementType.Q4_K:
                    WriteScalesAndMinima();
                    break;
                default:
                    a.vpmovsxbd(zmm0, __xmmword_ptr[s_w + Q6KFormat.Scales]);
                    a.vcvtdq2ps(zmm0, zmm0);
                    a.vpbroadcastw(ymm1, __word_ptr[s_w + Q6KFormat.Scale]);
                    a.vcvtph2ps(zmm1, ymm1);
                    a.vmulps(zmm0, zmm0, zmm1);
                    a.vpermps(zmm1, s_pairs, __zmmword_ptr[s_scales]);
                    a.vmulps(zmm0, zmm0, zmm1);
                    a.vmovups(__zmmword_ptr[s_scratch], zmm0);
                    return;
            }

            a.vmulps(ymm0, ymm0, __ymmword_ptr[s_scales]);
            a.vmovups(__ymmword_ptr[s_scratch], ymm0);
        }

        /// <summary>As <see cref="Q4KFormat.AllScales"/>, in one vector.</summary>
        private void WriteScalesAndMinima()
        {
            a.vmovdqu(xmm0, __xmmword_ptr[s_w + Q4KFormat.Scales]);
            a.vpshufd(xmm1, xmm0, 0b10_10_10_10);
            a.vpsrlvd(xmm1, xmm1, s_shifts);
            a.vpand(xmm1, xmm1, s_15Short);
            a.vpsrld(xmm2, xmm0, 2);
            a.vpand(xmm2, xmm2, s_48);
            a.vpor(xmm1, xmm1, xmm2);
            a.vpand(xmm0, xmm0, s_63);
            a.vpunpckldq(xmm2, xmm0, xmm1);
            a.vpmovzxbd(ymm0, xmm2);
            a.vpsrldq(xmm2, xmm2, 8);
            a.vpmovzxbd(ymm1, xmm2);
            a.vcvtdq2ps(ymm0, ymm0);
            a.vcvtdq2ps(ymm1, ymm1);
            a.vpbroadcastw(xmm2, __word_ptr[s_w]);
            a.vcvtph2ps(ymm2, xmm2);
            a.vmulps(ymm0, ymm0, ymm2);
            a.vpbroadcastw(xmm2, __word_ptr[s_w + 2]);
            a.vcvtph2ps(ymm2, xmm2);
            a.vmulps(ymm1, ymm1, ymm2);
            a.vfnmadd231ps(s_odd, ymm1, __ymmword_ptr[s_sums]);
        }

        private void WritePart(int part)
        {
            var (numbers, sum) = (ymm0, Alternate(ymm4, ymm5));
            WriteNumbers(part, numbers);
            a.vpxor(sum, sum, sum);
            if (type == ElementType.Q4_K)
            {
                a.evex.vpdpbusd(sum, numbers, __ymmword_ptr[s_x + (part * Part)]);
            }
            else
            {
                a.vmovdqu(ymm1, __ymmword_ptr[s_x + (part * Part)]);
                a.vpsignb(ymm1, ymm1, numbers);
                a.vpabsb(numbers, numbers);
                a.evex.vpdpbusd(sum, numbers, ymm1);
            }

            a.vcvtdq2ps(sum, sum);
            var total = Alternate(s_even, s_odd);
            if (type == ElementType.Q6_K)
            {
                a.vbroadcastss(ymm2, __dword_ptr[s_scratch + (part * 8)]);
                a.evex.vbroadcastss(ymm2.k1, __dword_ptr[s_scratch + (part * 8) + 4]);
                a.vfmadd231ps(total, sum, ymm2);
            }
            else
            {
                a.vfmadd231ps(total, sum, __dword_bcst[s_scratch + (part * 4)]);
            }

            AssemblerRegisterYMM Alternate(AssemblerRegisterYMM even, AssemblerRegisterYMM odd) => part % 2 == 0 ? even : odd;
        }

        /// <summary>The part's numbers, signed but for Q4_K's.</summary>
        private void WriteNumbers(int part, AssemblerRegisterYMM numbers)
        {
            switch (type)
            {
                case ElementType.Q8_0:
                    a.vmovdqu(numbers, __ymmword_ptr[s_w + (part * Q8Format.Bytes) + Q8Format.Numbers]);
                    break;
                case ElementType.Q4_0:
                    a.vmovdqu(xmm0, __xmmword_ptr[s_w + (part * Q4Format.Bytes) + Q4Format.Numbers]);
                    a.vpsrlw(xmm1, xmm0, 4);
                    a.vinserti128(numbers, numbers, xmm1, 1);
                    a.vpand(numbers, numbers, s_15);
                    a.vpsubb(numbers, numbers, s_zero);
                    break;
                case ElementType.Q4_K:
                    a.vmovdqu(numbers, __ymmword_ptr[s_w + Q4KFormat.Numbers + (part / 2 * Part)]);
                    if (part % 2 == 1) a.vpsrlw(numbers, numbers, 4);
                    a.vpand(numbers, numbers, s_15);
                    break;
                default:
                    var (half, quarter) = (part / 4, part % 4);
                    a.vmovdqu(numbers, __ymmword_ptr[s_w + (half * 64) + (quarter % 2 * 32)]);
                    if (quarter >= 2) a.vpsrlw(numbers, numbers, 4);
                    a.vpand(numbers, numbers, s_15);
                    a.vmovdqu(ymm1, __ymmword_ptr[s_w + Q6KFormat.High + (half * 32)]);
                    if (quarter > 0) a.vpsrlw(ymm1, ymm1, (byte)(2 * quarter));
                    a.vpand(ymm1, ymm1, s_3);
                    a.vpsllw(ymm1, ymm1, 4);
                    a.vpor(numbers, numbers, ymm1);
                    a.vpsubb(numbers, numbers, s_zero);
                    break;
            }
        }

        private void WriteSum()
        {
            a.vaddps(ymm0, s_even, s_odd);
            a.vextractf128(xmm1, ymm0, 1);
            a.vaddps(xmm0, xmm0, xmm1);
            a.vhaddps(xmm0, xmm0, xmm0);
            a.vhaddps(xmm0, xmm0, xmm0);
            a.mov(rax, Argument(nameof(Arguments.Y)));
            a.vmovss(__dword_ptr[rax], xmm0);
        }

        private static AssemblerMemoryOperand Argument(string field) => AssembledCode.Field<Arguments>(field);
    }
}
