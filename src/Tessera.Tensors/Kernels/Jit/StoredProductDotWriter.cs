using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

/// <summary>Writes the routines of <see cref="StoredProductDot"/>: what all types have in common.</summary>
internal sealed partial class StoredProductDotWriter(Assembler a, ElementType type, int rows, int outputs)
{
    /// <summary>How far ahead of the product memory is asked for: further than the processor does by itself, and across pages.</summary>
    private const int Ahead = 4096;

    private const int Parts = 8, Vector = 64;

    private static readonly AssemblerRegister64 s_x = rcx, s_rowX = r8, s_left = r9, s_threeRows = r11;

    // Numbers, what they are made of, sums of integers, scales of a vector, and of the group.
    private static readonly AssemblerRegisterZMM s_first = zmm0, s_last = zmm1, s_sum = zmm5, s_vectorScales = zmm6, s_scales = zmm7;

    private readonly List<(AssemblerRegisterZMM Register, byte[] Bytes)> _constants = [];

    private bool HasHalves => type.HasLastScale();

    public void Write()
    {
        var (nextOutput, nextGroup, constants) = (a.CreateLabel(), a.CreateLabel(), a.CreateLabel());
        a.PreferVex = false; // whose encodings reach 16 registers alone
        MakeConstants();
        a.lea(rax, __[constants]);
        for (var i = 0; i < _constants.Count; i++) a.vmovdqu32(_constants[i].Register, __zmmword_ptr[rax + (i * Vector)]);
        WriteMasks();
        a.mov(s_rowX, Argument(nameof(StoredProductDot.Arguments.RowX)));
        a.lea(s_threeRows, __[s_rowX + (s_rowX * 2)]);

        a.Label(ref nextOutput);
        a.mov(Weights(0), Argument(nameof(StoredProductDot.Arguments.Weights)));
        if (outputs > 1)
        {
            a.mov(Weights(1), Weights(0));
            a.add(Weights(1), Argument(nameof(StoredProductDot.Arguments.RowBytes)));
        }

        a.mov(s_x, Argument(nameof(StoredProductDot.Arguments.X)));
        a.mov(s_left, Argument(nameof(StoredProductDot.Arguments.Groups)));
        for (var i = 0; i < rows * outputs; i++) a.vpxord(Zmm(8 + i), Zmm(8 + i), Zmm(8 + i));

        a.Label(ref nextGroup);
        for (var output = 0; output < outputs; output++) WriteGroup(output);
        a.add(s_x, StoredProductDotRows.Bytes);
        a.dec(s_left);
        a.jnz(nextGroup);

        WriteSums();
        a.mov(rax, Argument(nameof(StoredProductDot.Arguments.RowBytes)));
        if (outputs > 1) a.add(rax, rax);
        a.add(Argument(nameof(StoredProductDot.Arguments.Weights)), rax);
        a.add(Argument(nameof(StoredProductDot.Arguments.Y)), outputs * sizeof(float));
        a.sub(Argument(nameof(StoredProductDot.Arguments.Outputs)), outputs);
        a.jnz(nextOutput);
        a.vzeroupper();
        a.ret();
        a.Label(ref constants);
        foreach (var (_, bytes) in _constants) a.db(bytes);
    }

    /// <summary>256 columns of one output, of all rows.</summary>
    private void WriteGroup(int output)
    {
        var w = Weights(output);
        var bytes = Parts * QuantizedActivations.Block / type.BlockElements() * type.BlockBytes();
        for (var at = 0; at < bytes; at += Vector) a.prefetcht0(__byte_ptr[w + (Ahead + at)]);
        WriteScales(w, output);
        for (var row = 0; row < rows; row++) ScaleRow(row);
        for (var odd = 0; odd < 2; odd++)
        {
            WriteNumbers(w, odd);
            for (var row = 0; row < rows; row++)
            {
                if (HasHalves)
                {
                    Multiply(row, odd, 0, s_first, null);
                    AddScaled(output, row, (2 * odd) + 0);
                    Multiply(row, odd, 1, s_last, null);
                    AddScaled(output, row, (2 * odd) + 1);
                }
                else
                {
                    Multiply(row, odd, 0, s_first, s_last);
                    AddScaled(output, row, odd);
                }
            }
        }

        a.add(w, bytes);
    }

    /// <summary>Integer sums of one vector's products, or of two.</summary>
    private void Multiply(int row, int odd, int half, AssemblerRegisterZMM numbers, AssemblerRegisterZMM? more)
    {
        var start = more is null
            ? StoredProductDotRows.QuadSums + (((2 * odd) + half) * Vector)
            : StoredProductDotRows.PairSums + (odd * Vector);
        if (Raised is { } shift) a.vpslld(s_sum, X(row, start), (byte)shift);
        else a.vpxord(s_sum, s_sum, s_sum);
        a.vpdpbusd(s_sum, numbers, X(row, ((2 * odd) + half) * Vector));
        if (more is { } last) a.vpdpbusd(s_sum, last, X(row, ((2 * odd) + 1) * Vector));
    }

    private void AddScaled(int output, int row, int vector)
    {
        a.vpermps(s_vectorScales, Spread(vector), RowScales(row));
        a.vcvtdq2ps(s_sum, s_sum);
        a.vfmadd231ps(Total(output, row), s_sum, s_vectorScales);
    }

    /// <summary>The group's scales times those of a row.</summary>
    private void ScaleRow(int row)
    {
        if (HasHalves)
        {
            a.vpermps(RowScales(row), Twice, X(row, StoredProductDotRows.Scales));
            a.vmulps(RowScales(row), RowScales(row), s_scales);
        }
        else
        {
            a.vmulps(Ymm(RowScales(row)), Ymm(s_scales), __ymmword_ptr[Row(row) + StoredProductDotRows.Scales]);
        }
    }

    /// <summary>Adds the sums of the row's parts times minima, or takes them away.</summary>
    private void AddMinima(int output, AssemblerRegisterZMM minima, bool isAdded = false)
    {
        for (var row = 0; row < rows; row++)
        {
            var total = Total(output, row);
            if (HasHalves)
            {
                a.vfnmadd231ps(total, minima, X(row, StoredProductDotRows.HalfSums));
                continue;
            }

            // Masked, as the upper half of the vector is to stay.
            var sums = __zmmword_ptr[Row(row) + StoredProductDotRows.Sums];
            if (isAdded) a.vfmadd231ps(total.k4, minima, sums);
            else a.vfnmadd231ps(total.k4, minima, sums);
        }
    }

    private void WriteSums()
    {
        a.mov(rax, Argument(nameof(StoredProductDot.Arguments.Y)));
        for (var row = 0; row < rows; row++)
        {
            for (var output = 0; output < outputs; output++)
            {
                a.vextractf64x4(ymm0, Total(output, row), 1);
                a.vaddps(ymm0, ymm0, Ymm(Total(output, row)));
                a.vextractf128(xmm1, ymm0, 1);
                a.vaddps(xmm0, xmm0, xmm1);
                a.vhaddps(xmm0, xmm0, xmm0);
                a.vhaddps(xmm0, xmm0, xmm0);
                a.vmovss(__dword_ptr[rax + (output * sizeof(float))], xmm0);
            }

            a.add(rax, Argument(nameof(StoredProductDot.Arguments.RowY)));
        }
    }

    /// <summary>Lanes of vectors that are joined from four places, and the lower half.</summary>
    private void WriteMasks()
    {
        Mask(k1, 0x00F0);
        Mask(k2, 0x0F00);
        Mask(k3, 0xF000);
        Mask(k4, 0x00FF);
        Mask(k5, 0xFF00);

        void Mask(AssemblerRegisterK mask, int bits)
        {
            a.mov(eax, bits);
            a.kmovd(mask, eax);
        }
    }

    private AssemblerRegisterZMM Constant(byte[] bytes)
    {
        var register = Zmm(_constants.Count < 12 ? 31 - _constants.Count : 27 - _constants.Count); // below 20 other registers than totals
        _constants.Add((register, bytes));
        return register;
    }

    /// <summary>A byte everywhere.</summary>
    private AssemblerRegisterZMM Bytes(byte value) => Constant([.. Enumerable.Repeat(value, Vector)]);

    /// <summary>A number of 64 bits for each quarter of a vector.</summary>
    private AssemblerRegisterZMM Quarters(long first, long second, long third, long fourth) => Constant(
        [.. new[] { first, first, second, second, third, third, fourth, fourth }.SelectMany(BitConverter.GetBytes)]);

    private AssemblerRegisterZMM Lanes(Func<int, int> lane) =>
        Constant([.. Enumerable.Range(0, 16).SelectMany(i => BitConverter.GetBytes(lane(i)))]);

    /// <summary>16 bytes in each quarter of a vector.</summary>
    private AssemblerRegisterZMM Table(byte[] bytes) => Constant([.. bytes, .. bytes, .. bytes, .. bytes]);

    private static AssemblerRegister64 Weights(int output) => output == 0 ? rsi : rdx;

    private AssemblerRegisterZMM Total(int output, int row) => Zmm(8 + (output * rows) + row);

    private static AssemblerRegisterZMM RowScales(int row) => Zmm(16 + row);

    private static AssemblerMemoryOperand X(int row, int at) => __zmmword_ptr[Row(row) + at];

    private static AssemblerMemoryOperand Row(int row) => row switch
    {
        0 => __[s_x],
        1 => __[s_x + s_rowX],
        2 => __[s_x + (s_rowX * 2)],
        _ => __[s_x + s_threeRows],
    };

    private static AssemblerMemoryOperand Argument(string field) => AssembledCode.Field<StoredProductDot.Arguments>(field);

    private static AssemblerRegisterZMM Zmm(int number) => new(Register.ZMM0 + number);

    private static AssemblerRegisterYMM Ymm(AssemblerRegisterZMM register) => new(Register.YMM0 + (register.Value - Register.ZMM0));

    private static AssemblerRegisterXMM Xmm(AssemblerRegisterZMM register) => new(Register.XMM0 + (register.Value - Register.ZMM0));
}
