using Iced.Intel;
using Tessera.Tensors.Kernels.Jit;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>The emulator against cases done by hand from Intel's description.</summary>
[Collection(AmxCollection.Name)]
public unsafe class AmxEmulatorTests
{
    // What LLVM's assembler (llvm-mc -show-encoding) writes for the same instructions.
    public static TheoryData<string, string> Encodings => new()
    {
        { "ldtilecfg [rax]", "C4 E2 78 49 00" },
        { "tileloadd tmm0, [rax + rdx]", "C4 E2 7B 4B 04 10" },
        { "tileloaddt1 tmm6, [rsi + r8]", "C4 A2 79 4B 34 06" },
        { "tilestored [rdi + r9 + 64], tmm3", "C4 A2 7A 4B 5C 0F 40" },
        { "tdpbf16ps tmm0, tmm4, tmm6", "C4 E2 4A 5C C4" },
        { "tdpbssd tmm0, tmm4, tmm6", "C4 E2 4B 5E C4" },
        { "tdpbusd tmm0, tmm4, tmm6", "C4 E2 49 5E C4" },
        { "tilezero tmm2", "C4 E2 7B 49 D0" },
        { "tilerelease", "C4 E2 78 49 C0" },
    };

    [Theory]
    [MemberData(nameof(Encodings))]
    public void Instructions_have_the_bytes_that_another_assembler_writes(string instruction, string bytes) =>
        Assert.Equal(bytes, BitConverter.ToString(AssembledCode.Bytes(Writer(instruction))).Replace('-', ' '));

    [Fact]
    public void General_instructions_calculate_and_jump()
    {
        var numbers = stackalloc long[3] { 5, 7, 0 };
        var emulator = Emulator();
        emulator.Memory.Declare(numbers, 24, writable: false);
        emulator.Run(
            AssembledCode.Bytes(code =>
            {
                // 7 · 16 added five times, then 6 taken away, must be 554: if not, the routine never returns.
                var (again, right, forever) = (code.CreateLabel(), code.CreateLabel(), code.CreateLabel());
                code.mov(rcx, __qword_ptr[rdi]);
                code.mov(rdx, __qword_ptr[rdi + 8]);
                code.shl(rdx, 4);
                code.mov(rax, __qword_ptr[rdi + 16]);
                code.Label(ref again);
                code.add(rax, rdx);
                code.dec(rcx);
                code.jnz(again);
                code.sub(rax, 6);
                code.sub(rax, 554);
                code.test(rax, rax);
                code.jz(right);
                code.Label(ref forever);
                code.jmp(forever);
                code.Label(ref right);
                code.ret();
            }),
            (nint)numbers);
    }

    [Fact]
    public void A_product_of_two_small_tiles_of_BF16_is_as_calculated_by_hand()
    {
        // a = [1 2 3 4; 5 6 7 8], b = [1 10; 2 20; 3 30; 4 40] as pairs of rows, c starts as ones.
        ushort[] a = [B(1), B(2), B(3), B(4), B(5), B(6), B(7), B(8)];
        ushort[] b = [B(1), B(2), B(10), B(20), B(3), B(4), B(30), B(40)];
        float[] c = [1, 1, 1, 1];
        Product(code => code.tdpbf16ps(tmm0, tmm1, tmm2), a, b, c);
        Assert.Equal([31, 301, 71, 701], c);
    }

    [Fact]
    public void Even_and_odd_products_are_summed_apart_and_each_sum_is_rounded_to_nearest_even()
    {
        // Even: 2^24 + 1 twice: each 1 is lost to a tie that goes to even. Odd: 1 + 1 = 2. Together 2^24 + 2, where sums in
        // order of k would have lost everything: ((2^24 + 1) + 1) + 1.
        ushort[] a = [B(4096), B(1), B(1), B(1), 0, 0, 0, 0];
        ushort[] b = [B(4096), B(1), 0, 0, B(1), B(1), 0, 0];
        float[] c = [0, 0, 0, 0];
        Product(code => code.tdpbf16ps(tmm0, tmm1, tmm2), a, b, c);
        Assert.Equal([16777218, 0, 0, 0], c);
    }

    [Fact]
    public void Subnormal_numbers_count_as_zero_and_subnormal_results_become_it()
    {
        var tiny = BitConverter.Int32BitsToSingle(0x00400000);
        ushort[] a = [0x0040, 0, 0, 0, B(MathF.ScaleB(1, -100)), 0, 0, 0];
        ushort[] b = [B(MathF.ScaleB(1, 100)), 0, B(MathF.ScaleB(-1, -30)), 0, 0, 0, 0, 0];
        float[] c = [0, tiny, 0, 0];
        Product(code => code.tdpbf16ps(tmm0, tmm1, tmm2), a, b, c);
        Assert.Equal([0, 0, 1, 0], c);
    }

    [Fact]
    public void What_is_not_a_number_stays_so()
    {
        ushort[] a = [B(float.PositiveInfinity), 0, 0, 0, B(float.NaN), 0, 0, 0];
        ushort[] b = [B(1), 0, B(0), 0, 0, 0, 0, 0];
        float[] c = [0, 0, 0, 0];
        Product(code => code.tdpbf16ps(tmm0, tmm1, tmm2), a, b, c);
        Assert.Equal([float.PositiveInfinity, float.NaN, float.NaN, float.NaN], c);
    }

    [Fact]
    public void Products_of_bytes_take_their_signs_from_the_instruction()
    {
        // 2 x 8 by 8 x 2, four bytes of k at a time.
        byte[] a = [1, 2, 3, 4, 255, 128, 127, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        byte[] b = [1, 1, 1, 1, 2, 2, 2, 255, 1, 1, 1, 1, 255, 128, 127, 100];
        int[] signed = [10, 0, 0, int.MaxValue], unsigned = [10, 0, 0, int.MaxValue];
        Product(code => code.tdpbssd(tmm0, tmm1, tmm2), a, b, signed);
        Product(code => code.tdpbusd(tmm0, tmm1, tmm2), a, b, unsigned);

        // Signed: 10 + 10 + (-1 - 128 + 127); 12 - 4 + (1 + 128² + 127²). Unsigned: 20 + 510; 8 + (-255 - 128² + 127²).
        Assert.Equal([18, 32522, 1, unchecked(int.MaxValue + 100)], signed);
        Assert.Equal([530, 8 - 255 - 16384 + 16129, 1, unchecked(int.MaxValue + 100)], unsigned);
    }

    [Theory]
    [InlineData(0, 2, "palette 2")]
    [InlineData(1, 1, "start row")]
    [InlineData(2, 1, "reserved")]
    [InlineData(15, 1, "reserved")]
    [InlineData(32, 1, "reserved")]
    [InlineData(47, 1, "reserved")]
    [InlineData(56, 1, "reserved")]
    [InlineData(63, 1, "reserved")]
    [InlineData(48, 17, "too large")]
    [InlineData(16, 65, "too large")]
    [InlineData(17, 1, "too large")]
    [InlineData(48, 0, "0 rows")]
    [InlineData(30, 4, "0 rows")]
    [InlineData(55, 4, "4 rows of 0")]
    public void A_configuration_with_a_wrong_byte_is_refused(int position, byte value, string why)
    {
        var bytes = Configuration((2, 8), (2, 8), (2, 8));
        Load(bytes);
        bytes[position] = value;
        Assert.Contains(why, Assert.Throws<AmxFault>(() => Load(bytes)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Palette_0_and_release_give_the_tiles_up()
    {
        var emulator = Load(Configuration((2, 8)));
        Assert.True(emulator.Tiles.Configured);
        emulator.Run(AssembledCode.Bytes(code => { code.tilerelease(); code.ret(); }), 0);
        Assert.False(emulator.Tiles.Configured);
        emulator = Load(new byte[64]);
        Assert.False(emulator.Tiles.Configured);
        Assert.Contains("no tiles", Refused(emulator, code => code.tilezero(tmm0)), StringComparison.Ordinal);
    }

    [Fact]
    public void Products_of_tiles_that_do_not_fit_are_refused()
    {
        var emulator = Load(Configuration((2, 8), (2, 8), (2, 8), (3, 8), (2, 12), (3, 12), (1, 6)));
        Assert.Contains("#UD", Refused(emulator, code => code.tdpbf16ps(tmm0, tmm1, tmm1)), StringComparison.Ordinal); // by the decoder
        Assert.Contains(
            "not three", Assert.Throws<AmxFault>(() => emulator.Tiles.MultiplyBFloat16(0, 1, 1)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "not three", Assert.Throws<AmxFault>(() => emulator.Tiles.MultiplyBytes(0, 0, 1, signedA: true)).Message,
            StringComparison.Ordinal);
        Assert.Contains("3 rows of a for 2", Refused(emulator, code => code.tdpbf16ps(tmm0, tmm3, tmm1)), StringComparison.Ordinal);
        Assert.Contains("12 bytes of a for 2 rows", Refused(emulator, code => code.tdpbusd(tmm0, tmm4, tmm1)), StringComparison.Ordinal);
        Assert.Contains("12 bytes of b for 8", Refused(emulator, code => code.tdpbf16ps(tmm0, tmm1, tmm4)), StringComparison.Ordinal);
        Assert.Contains("no multiple of 4", Refused(emulator, code => code.tdpbf16ps(tmm0, tmm1, tmm6)), StringComparison.Ordinal);
        Assert.Contains("tile 7 is not configured", Refused(emulator, code => code.tdpbf16ps(tmm7, tmm0, tmm1)), StringComparison.Ordinal);
        Assert.Contains("tile 7 is not configured", Refused(emulator, code => code.tilezero(tmm7)), StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_that_is_not_declared_is_neither_read_nor_written()
    {
        var memory = stackalloc byte[64];
        var emulator = Load(Configuration((4, 16)));
        emulator.Memory.Declare(memory, 63);
        void Transfer(Assembler code, bool load)
        {
            code.mov(rax, 16);
            if (load) code.tileloadd(tmm0, __[rdi + rax]);
            else code.tilestored(__[rdi + rax], tmm0);
        }

        Assert.Contains("reads 16 bytes", Refused(emulator, code => Transfer(code, load: true), memory), StringComparison.Ordinal);
        emulator.Memory.Declare(memory, 64);
        emulator.Run(AssembledCode.Bytes(code => { Transfer(code, load: true); code.ret(); }), (nint)memory);
        Assert.Contains("writes 16 bytes", Refused(emulator, code => Transfer(code, load: false), memory), StringComparison.Ordinal);
    }

    [Fact]
    public void Registers_that_are_to_be_kept_and_unknown_instructions_are_refused()
    {
        Assert.Contains("RBX", Refused(Emulator(), code => code.mov(rbx, 1)), StringComparison.Ordinal);
        Assert.Contains("RSP", Refused(Emulator(), code => code.add(rsp, 8)), StringComparison.Ordinal);
        Assert.Contains("routines use", Refused(Emulator(), code => code.mul(rcx)), StringComparison.Ordinal);
        Assert.Contains("no instruction", Assert.Throws<AmxFault>(() => Emulator().Run([0x06, 0xC3], 0)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "starts at byte 3", Assert.Throws<AmxFault>(() => Emulator().Run([0x48, 0x89, 0xC8], 0)).Message, StringComparison.Ordinal);
        Assert.Contains("not return", Assert.Throws<AmxFault>(() => Emulator().Run([0xEB, 0xFE], 0)).Message, StringComparison.Ordinal);
    }

    private static AmxEmulator Emulator() => new(new EmulatedMemory());

    private static ushort B(float value) => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);

    private static Action<Assembler> Writer(string instruction) => instruction.Split(' ')[0] switch
    {
        "ldtilecfg" => code => code.ldtilecfg(__[rax]),
        "tileloadd" => code => code.tileloadd(tmm0, __[rax + rdx]),
        "tileloaddt1" => code => code.tileloaddt1(tmm6, __[rsi + r8]),
        "tilestored" => code => code.tilestored(__[rdi + r9 + 64], tmm3),
        "tdpbf16ps" => code => code.tdpbf16ps(tmm0, tmm4, tmm6),
        "tdpbssd" => code => code.tdpbssd(tmm0, tmm4, tmm6),
        "tdpbusd" => code => code.tdpbusd(tmm0, tmm4, tmm6),
        "tilezero" => code => code.tilezero(tmm2),
        _ => code => code.tilerelease(),
    };

    private static byte[] Configuration(params (int Rows, int RowBytes)[] tiles)
    {
        var bytes = new byte[64];
        bytes[0] = 1;
        for (var i = 0; i < tiles.Length; i++) (bytes[48 + i], bytes[16 + (2 * i)]) = ((byte)tiles[i].Rows, (byte)tiles[i].RowBytes);
        return bytes;
    }

    private static AmxEmulator Load(byte[] configuration)
    {
        var emulator = Emulator();
        fixed (byte* pointer = configuration)
        {
            emulator.Memory.Declare(pointer, 64);
            emulator.Run(AssembledCode.Bytes(code => { code.ldtilecfg(__[rdi]); code.ret(); }), (nint)pointer);
        }

        return emulator;
    }

    private static string Refused(AmxEmulator emulator, Action<Assembler> write, void* argument = null)
    {
        var code = AssembledCode.Bytes(assembler => { write(assembler); assembler.ret(); });
        return Assert.Throws<AmxFault>(() => emulator.Run(code, (nint)argument)).Message;
    }

    /// <summary>c += a b with tiles 0, 1 and 2, each of two rows of eight bytes; a, b and c lie after one another.</summary>
    private static void Product<TFactor, TSum>(Action<Assembler> multiply, TFactor[] a, TFactor[] b, TSum[] c)
        where TFactor : unmanaged
        where TSum : unmanaged
    {
        var emulator = Load(Configuration((2, 8), (2, 8), (2, 8)));
        fixed (TFactor* pointerA = a, pointerB = b)
        fixed (TSum* pointerC = c)
        {
            emulator.Memory.Declare(pointerA, 16);
            emulator.Memory.Declare(pointerB, 16);
            emulator.Memory.Declare(pointerC, 16, writable: true);
            var addresses = stackalloc nint[3] { (nint)pointerC, (nint)pointerA, (nint)pointerB };
            emulator.Memory.Declare(addresses, 24);
            emulator.Run(
                AssembledCode.Bytes(code =>
                {
                    code.mov(rax, 8);
                    code.mov(rcx, __qword_ptr[rdi]);
                    code.mov(rdx, __qword_ptr[rdi + 8]);
                    code.mov(rsi, __qword_ptr[rdi + 16]);
                    code.tileloadd(tmm0, __[rcx + rax]);
                    code.tileloadd(tmm1, __[rdx + rax]);
                    code.tileloadd(tmm2, __[rsi + rax]);
                    multiply(code);
                    code.tilestored(__[rcx + rax], tmm0);
                    code.ret();
                }),
                (nint)addresses);
        }
    }
}
