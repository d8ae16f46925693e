using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Kernels.Jit;

// How each type stores scales and numbers; see the formats. Temporaries are zmm0 to zmm7.
internal sealed partial class StoredProductDotWriter
{
    private readonly AssemblerRegisterZMM[] _spread = new AssemblerRegisterZMM[4];
    private AssemblerRegisterZMM _twice, _15, _mask, _table, _bits, _bitBytes, _lastBitBytes;
    private AssemblerRegisterZMM _shifts, _oddShifts, _highShifts, _oddHighShifts, _scaleShifts;

    /// <summary>The power of two that numbers are raised by to have no sign, or null.</summary>
    private int? Raised => type switch
    {
        ElementType.Q8_0 or ElementType.IQ4_NL or ElementType.IQ4_XS => 7,
        ElementType.Q4_0 => 3,
        ElementType.Q5_0 or ElementType.MXFP4 => 4,
        ElementType.Q6_K => 5,
        ElementType.Q3_K => 2,
        _ => null,
    };

    private AssemblerRegisterZMM Twice => _twice;

    private AssemblerRegisterZMM Spread(int vector) => _spread[vector];

    private void MakeConstants()
    {
        for (var i = 0; i < (HasHalves ? 4 : 2); i++)
        {
            var vector = i;
            _spread[i] = Lanes(lane => HasHalves ? (lane / 4 * 4) + vector : (lane / 4 * 2) + vector);
        }

        if (HasHalves) _twice = Lanes(lane => lane / 2);
        _15 = Bytes(type is ElementType.Q2_K or ElementType.Q3_K ? (byte)3 : (byte)15);
        switch (type)
        {
            case ElementType.Q8_0:
                _mask = Bytes(0x80);
                break;
            case ElementType.Q5_0 or ElementType.Q5_1:
                _mask = Bytes(16);
                _bits = Constant([.. Enumerable.Range(0, Vector).Select(i => (byte)(1 << (i % 8)))]);
                _bitBytes = Table([.. Enumerable.Range(0, 16).Select(i => (byte)(i / 8))]);
                _lastBitBytes = Table([.. Enumerable.Range(0, 16).Select(i => (byte)(2 + (i / 8)))]);
                break;
            case ElementType.MXFP4:
                _table = Table([.. new[] { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 }.Select(value => (byte)(16 + value))]);
                break;
            case ElementType.IQ4_NL or ElementType.IQ4_XS:
                _table = Table([.. Iq4Format.Table.ToArray().Select(value => (byte)(128 + value))]);
                if (type == ElementType.IQ4_XS) MakeTableConstants();
                break;
            case ElementType.Q4_K or ElementType.Q5_K:
                MakeGroupConstants();
                break;
            case ElementType.Q6_K:
                _mask = Bytes(0x30);
                _shifts = Quarters(0, 4, 0, 4);
                (_highShifts, _oddHighShifts) = (Quarters(4, 0, 4, 0), Quarters(2, 62, 2, 62));
                break;
            case ElementType.Q3_K:
                _mask = Bytes(4);
                (_shifts, _oddShifts) = (Quarters(0, 4, 0, 4), Quarters(2, 6, 2, 6));
                (_highShifts, _oddHighShifts) = (Quarters(2, 0, 62, 60), Quarters(1, 63, 61, 59));
                _scaleShifts = Constant([.. new byte[8], .. BitConverter.GetBytes(4L), .. new byte[48]]);
                _bitBytes = Lanes(lane => (36 - (2 * (lane % 4))) % 32); // left by 4, 2, 0 and −2
                (_bits, _table, _lastBitBytes) = (Bytes(15), Bytes(0x30), Bytes(Q3KFormat.ZeroScale));
                break;
            case ElementType.Q2_K:
                (_shifts, _oddShifts) = (Quarters(0, 4, 0, 4), Quarters(2, 6, 2, 6));
                break;
        }
    }

    private void MakeTableConstants()
    {
        (_scaleShifts, _highShifts) = (Lanes(lane => 4 * (lane % Parts)), Lanes(lane => 12 + (2 * (lane % Parts))));
        (_bits, _mask, _bitBytes) = (Lanes(_ => 15), Lanes(_ => 0x30), Lanes(_ => Iq4Format.Zero));
    }

    private void MakeGroupConstants()
    {
        _scaleShifts = Lanes(lane => lane == 1 ? 4 : 0);
        _bits = Bytes(0x3F);
        _table = Bytes(0x30);
        if (type != ElementType.Q5_K) return;
        _mask = Bytes(16);
        (_highShifts, _oddHighShifts) = (Quarters(4, 2, 0, 62), Quarters(3, 1, 63, 61));
    }

    /// <summary>The scales of 8 parts, or of 16 halves, in the order of the columns; minima are taken away at once.</summary>
    private void WriteScales(AssemblerRegister64 w, int output)
    {
        switch (type)
        {
            case ElementType.MXFP4:
                WriteExponents(w);
                break;
            case ElementType.Q4_K or ElementType.Q5_K:
                WriteGroupScales(w, output);
                break;
            case ElementType.IQ4_XS:
                WriteTableScales(w);
                break;
            case ElementType.Q6_K:
                a.vpmovsxbd(s_scales, __xmmword_ptr[w + Q6KFormat.Scales]);
                ScaleHalves(s_scales, w + Q6KFormat.Scale);
                break;
            case ElementType.Q3_K:
                WriteFewBitScales(w);
                a.vpmovsxbd(s_scales, xmm2);
                ScaleHalves(s_scales, w + Q3KFormat.Scale);
                break;
            case ElementType.Q2_K:
                a.vmovdqu(xmm2, __xmmword_ptr[w]);
                a.vpsrld(xmm3, xmm2, 4);
                a.mov(eax, 0x0F0F0F0F);
                a.vpbroadcastd(xmm4, eax);
                a.vpandd(xmm2, xmm2, xmm4);
                a.vpandd(xmm3, xmm3, xmm4);
                a.vpmovzxbd(s_scales, xmm2);
                a.vpmovzxbd(zmm2, xmm3);
                ScaleHalves(zmm2, w + Q2KFormat.Minimum);
                AddMinima(output, zmm2);
                ScaleHalves(s_scales, w + Q2KFormat.Scale);
                break;
            default:
                GatherHalves(w, 0, Ymm(s_scales));
                if (type is not (ElementType.Q4_1 or ElementType.Q5_1)) break;
                GatherHalves(w, Q41Format.Minimum, ymm2);
                AddMinima(output, zmm2, isAdded: true);
                break;
        }
    }

    /// <summary>The F16 numbers at one place of 8 blocks.</summary>
    private void GatherHalves(AssemblerRegister64 w, int at, AssemblerRegisterYMM to)
    {
        // The first comes with its neighbour, in whose place the second goes.
        a.vmovd(xmm3, __dword_ptr[w + at]);
        for (var part = 1; part < Parts; part++) a.vpinsrw(xmm3, xmm3, __word_ptr[w + at + (part * type.BlockBytes())], (byte)part);
        a.vcvtph2ps(to, xmm3);
    }

    /// <summary>As <see cref="Mxfp4Format.Scale"/>: the lowest two exponents are those of numbers that are not normal, 255 is
    /// NaN.</summary>
    private void WriteExponents(AssemblerRegister64 w)
    {
        a.vmovd(xmm3, __dword_ptr[w]);
        for (var part = 1; part < Parts; part++) a.vpinsrb(xmm3, xmm3, __byte_ptr[w + (part * type.BlockBytes())], (byte)part);
        a.vpmovzxbd(ymm2, xmm3);
        a.mov(eax, 2);
        a.vpbroadcastd(ymm3, eax);
        a.vpcmpud(k6, ymm2, ymm3, 1); // less than
        a.mov(eax, 1);
        a.vpbroadcastd(ymm3, eax);
        a.vpsubd(ymm4, ymm2, ymm3);
        a.vpslld(ymm4, ymm4, 23);
        a.mov(eax, 0x00200000);
        a.vpbroadcastd(ymm3, eax);
        a.vpsllvd(ymm4.k6, ymm3, ymm2);
        a.mov(eax, 255);
        a.vpbroadcastd(ymm3, eax);
        a.vpcmpeqd(k6, ymm2, ymm3);
        a.vpternlogd(ymm4.k6, ymm4, ymm4, 0xFF); // all ones: NaN
        a.vmovaps(Ymm(s_scales), ymm4);
    }

    /// <summary>As <see cref="Q4KFormat.AllScales"/>, in one vector.</summary>
    private void WriteGroupScales(AssemblerRegister64 w, int output)
    {
        a.vmovdqu(xmm2, __xmmword_ptr[w + Q4KFormat.Scales]);
        a.vpshufd(xmm3, xmm2, 0b10_10_10_10);
        a.vpsrlvd(xmm3, xmm3, Xmm(_scaleShifts));
        a.vpandd(xmm3, xmm3, Xmm(_15));
        a.vpsrld(xmm4, xmm2, 2);
        a.vpandd(xmm4, xmm4, Xmm(_table));
        a.vpord(xmm3, xmm3, xmm4);
        a.vpandd(xmm2, xmm2, Xmm(_bits));
        a.vpunpckldq(xmm4, xmm2, xmm3);
        a.vpmovzxbd(ymm2, xmm4);
        a.vpsrldq(xmm4, xmm4, 8);
        a.vpmovzxbd(ymm3, xmm4);
        a.vcvtdq2ps(ymm2, ymm2);
        a.vcvtdq2ps(ymm3, ymm3);
        a.vpbroadcastw(xmm4, __word_ptr[w]);
        a.vcvtph2ps(ymm4, xmm4);
        a.vmulps(Ymm(s_scales), ymm2, ymm4);
        a.vpbroadcastw(xmm4, __word_ptr[w + 2]);
        a.vcvtph2ps(ymm4, xmm4);
        a.vmulps(ymm3, ymm3, ymm4);
        AddMinima(output, zmm3);
    }

    private void WriteTableScales(AssemblerRegister64 w)
    {
        a.vpbroadcastd(ymm2, __dword_ptr[w + Iq4Format.GroupsLow]);
        a.vpsrlvd(ymm2, ymm2, Ymm(_scaleShifts));
        a.vpandd(ymm2, ymm2, Ymm(_bits));
        a.vpbroadcastd(ymm4, __dword_ptr[w]);
        a.vpsrlvd(ymm4, ymm4, Ymm(_highShifts));
        a.vpternlogd(ymm2, ymm4, Ymm(_mask), 0xF8);
        a.vpsubd(ymm2, ymm2, Ymm(_bitBytes));
        a.vcvtdq2ps(ymm2, ymm2);
        a.vpbroadcastw(xmm3, __word_ptr[w]);
        a.vcvtph2ps(ymm3, xmm3);
        a.vmulps(Ymm(s_scales), ymm2, ymm3);
    }

    private void WriteFewBitScales(AssemblerRegister64 w)
    {
        a.vpbroadcastq(xmm2, __qword_ptr[w + Q3KFormat.Scales]);
        a.vpsrlvq(xmm2, xmm2, Xmm(_scaleShifts));
        a.vpandd(xmm2, xmm2, Xmm(_bits));
        a.vpbroadcastd(xmm3, __dword_ptr[w + Q3KFormat.Scales + 8]);
        a.vprolvd(xmm3, xmm3, Xmm(_bitBytes));
        a.vpternlogd(xmm2, xmm3, Xmm(_table), 0xF8);
        a.vpsubb(xmm2, xmm2, Xmm(_lastBitBytes));
    }

    /// <summary>16 whole numbers times an F16 number.</summary>
    private void ScaleHalves(AssemblerRegisterZMM numbers, AssemblerMemoryOperand scale)
    {
        a.vcvtdq2ps(numbers, numbers);
        a.vpbroadcastw(ymm4, __word_ptr[scale]);
        a.vcvtph2ps(zmm4, ymm4);
        a.vmulps(numbers, numbers, zmm4);
    }

    /// <summary>First and last halves of four parts, raised to have no sign.</summary>
    private void WriteNumbers(AssemblerRegister64 w, int odd)
    {
        switch (type)
        {
            case ElementType.Q8_0:
                Join(s_first, w, odd, Q8Format.Numbers);
                Join(s_last, w, odd, Q8Format.Numbers + 16);
                a.vpxord(s_first, s_first, _mask);
                a.vpxord(s_last, s_last, _mask);
                break;
            case ElementType.Q4_0 or ElementType.Q4_1 or ElementType.MXFP4 or ElementType.IQ4_NL:
                Join(zmm2, w, odd, type.BlockBytes() - 16); // which are the last
                WriteNibbles(zmm2, zmm2);
                break;
            case ElementType.Q5_0 or ElementType.Q5_1:
                var high = type == ElementType.Q5_0 ? Q50Format.High : Q51Format.High;
                Join(zmm2, w, odd, high + 4);
                WriteNibbles(zmm2, zmm2);
                JoinWholes(zmm3, w, odd, high);
                AddBits(s_first, _bitBytes);
                AddBits(s_last, _lastBitBytes);
                break;
            case ElementType.IQ4_XS:
                a.vmovdqu32(zmm2, __zmmword_ptr[w + Iq4Format.GroupsNumbers]);
                var quarters = (byte)(odd == 0 ? 0b10_00_10_00 : 0b11_01_11_01);
                a.vshufi64x2(zmm2, zmm2, __zmmword_ptr[w + Iq4Format.GroupsNumbers + Vector], quarters);
                WriteNibbles(zmm2, zmm2);
                break;
            case ElementType.Q4_K or ElementType.Q5_K:
                WriteGroupNumbers(w, odd);
                break;
            default:
                WriteHalf(s_first, w, odd, 0);
                WriteHalf(s_last, w, odd, 16);
                break;
        }
    }

    /// <summary>The low and the high halves of bytes, or what they name.</summary>
    private void WriteNibbles(AssemblerRegisterZMM low, AssemblerRegisterZMM high)
    {
        a.vpandd(s_first, low, _15);
        a.vpsrlw(s_last, high, 4);
        a.vpandd(s_last, s_last, _15);
        if (type is not (ElementType.MXFP4 or ElementType.IQ4_NL or ElementType.IQ4_XS)) return;
        a.vpshufb(s_first, _table, s_first);
        a.vpshufb(s_last, _table, s_last);
    }

    private void WriteGroupNumbers(AssemblerRegister64 w, int odd)
    {
        // The quarters of 64 bytes are the first and last halves of two parts, in the low halves of bytes, and of the next two.
        var numbers = type == ElementType.Q4_K ? Q4KFormat.Numbers : Q5KFormat.Numbers;
        if (odd == 0)
        {
            a.vmovdqu32(zmm4, __zmmword_ptr[w + numbers]);
            a.vshufi64x2(zmm2, zmm4, __zmmword_ptr[w + numbers + Vector], 0b10_00_10_00);
            a.vshufi64x2(zmm3, zmm4, __zmmword_ptr[w + numbers + Vector], 0b11_01_11_01);
            a.vpandd(s_first, zmm2, _15);
            a.vpandd(s_last, zmm3, _15);
        }
        else
        {
            a.vpsrlw(s_first, zmm2, 4);
            a.vpsrlw(s_last, zmm3, 4);
            a.vpandd(s_first, s_first, _15);
            a.vpandd(s_last, s_last, _15);
        }

        if (type == ElementType.Q4_K) return;
        AddHighBits(s_first, __xmmword_ptr[w + Q5KFormat.High], null, odd);
        AddHighBits(s_last, __xmmword_ptr[w + Q5KFormat.High + 16], null, odd);
    }

    /// <summary>A half of each part of Q6_K, Q3_K or Q2_K: halves of the block in the upper and lower half of the vector.</summary>
    private void WriteHalf(AssemblerRegisterZMM to, AssemblerRegister64 w, int odd, int at)
    {
        var (low, next) = type switch
        {
            ElementType.Q6_K => (at + (odd * 32), 64),
            ElementType.Q3_K => (Q3KFormat.Numbers + at, 32),
            _ => (Q2KFormat.Numbers + at, 32),
        };
        a.vbroadcasti128(Ymm(to), __xmmword_ptr[w + low]);
        a.vbroadcasti32x4(to.k5, __xmmword_ptr[w + low + next]);
        a.vpsrlvq(to, to, odd == 1 && type != ElementType.Q6_K ? _oddShifts : _shifts);
        a.vpandd(to, to, _15);
        if (type == ElementType.Q6_K)
            AddHighBits(to, __xmmword_ptr[w + Q6KFormat.High + at], __xmmword_ptr[w + Q6KFormat.High + at + 32], odd);
        else if (type == ElementType.Q3_K) AddHighBits(to, __xmmword_ptr[w + at], null, odd);
    }

    /// <summary>Turns bytes, the same or others for the upper half, so that the bits of each quarter are where they count.</summary>
    private void AddHighBits(AssemblerRegisterZMM to, AssemblerMemoryOperand bytes, AssemblerMemoryOperand? upper, int odd)
    {
        a.vbroadcasti32x4(zmm4, bytes);
        if (upper is { } others) a.vbroadcasti32x4(zmm4.k5, others);
        a.vprolvq(zmm4, zmm4, odd == 0 ? _highShifts : _oddHighShifts);
        a.vpternlogd(to, zmm4, _mask, 0xF8); // to | (zmm4 & mask)
    }

    /// <summary>A quarter of the vector of each of the blocks of four parts.</summary>
    private void Join(AssemblerRegisterZMM to, AssemblerRegister64 w, int odd, int at)
    {
        a.vmovdqu(Xmm(to), __xmmword_ptr[w + at + (odd * type.BlockBytes())]);
        for (var lane = 1; lane < 4; lane++)
            a.vbroadcasti32x4(Quarter(to, lane), __xmmword_ptr[w + at + (((2 * lane) + odd) * type.BlockBytes())]);
    }

    /// <summary>The same of 32 bits, everywhere in the quarter.</summary>
    private void JoinWholes(AssemblerRegisterZMM to, AssemblerRegister64 w, int odd, int at)
    {
        a.vpbroadcastd(to, __dword_ptr[w + at + (odd * type.BlockBytes())]);
        for (var lane = 1; lane < 4; lane++)
            a.vpbroadcastd(Quarter(to, lane), __dword_ptr[w + at + (((2 * lane) + odd) * type.BlockBytes())]);
    }

    /// <summary>Adds 16 to numbers whose bit is set in zmm3.</summary>
    private void AddBits(AssemblerRegisterZMM to, AssemblerRegisterZMM bytes)
    {
        a.vpshufb(zmm4, zmm3, bytes);
        a.vptestmb(k6, zmm4, _bits);
        a.vpaddb(to.k6, to, _mask);
    }

    private static AssemblerRegisterZMM Quarter(AssemblerRegisterZMM vector, int lane) => lane switch
    {
        1 => vector.k1,
        2 => vector.k2,
        _ => vector.k3,
    };
}
