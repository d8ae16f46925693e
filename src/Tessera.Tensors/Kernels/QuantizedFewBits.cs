using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// Q2_K: 16 bytes with a scale s and a minimum m of 4 bits for each 16 elements, 64 bytes with 256 two-bit numbers, and two F16 scales:
/// <c>x = d s q − dmin m</c>. Byte 32 h + j holds, of half h of the block, elements j, j + 32, j + 64 and j + 96.
/// </summary>
internal static class Q2KFormat
{
    public const int Bytes = 84, Numbers = 16, Scale = 80, Minimum = 82;
}

/// <summary>
/// Q3_K: 32 bytes with the high bits of 256 numbers (bit i of byte j is that of element 32 i + j), 64 bytes with their low 2 bits as those
/// of Q2_K, 12 bytes with 16 scales s of 6 bits, and an F16 scale: <c>x = d (s − 32) (q − 4)</c>.
/// </summary>
internal static unsafe class Q3KFormat
{
    public const int Bytes = 110, Numbers = 32, Scales = 96, Scale = 108, Zero = 4, ZeroScale = 32;

    /// <summary>The 16 scales: of the first 8 the low 4 bits are the low halves of 8 bytes, of the last 8 their high halves; the high 2
    /// bits are those of the last 4 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<sbyte> AllScales(byte* scales)
    {
        var low = Unsafe.ReadUnaligned<ulong>(scales);
        var high = Unsafe.ReadUnaligned<uint>(scales + 8);
        var halves = Vector128.Create(low & 0x0F0F0F0F0F0F0F0F, (low >> 4) & 0x0F0F0F0F0F0F0F0F).AsByte();
        var pairs = Vector128.Create(
            (high << 4) & 0x30303030, (high << 2) & 0x30303030, high & 0x30303030, (high >> 2) & 0x30303030).AsByte();
        return (halves | pairs).AsSByte() - Vector128.Create((sbyte)ZeroScale);
    }
}

/// <summary>
/// Q5_K: scales and minima as those of Q4_K, 32 bytes with the high bits of 256 numbers (bit i of byte j is that of element 32 i + j), and
/// 128 bytes with the others as Q4_K has them.
/// </summary>
internal static unsafe class Q5KFormat
{
    public const int Elements = 256, Bytes = 176, High = 16, Numbers = 48;

    public static void Store(float* from, byte* to, int blocks)
    {
        var numbers = stackalloc byte[Elements];
        for (; blocks > 0; blocks--, from += Elements, to += Bytes)
        {
            Q4KFormat.Store(from, max: 31, first: -0.5f, trials: 16, numbers, to);
            for (var i = 0; i < 32; i++)
            {
                var high = 0;
                for (var group = 0; group < 8; group++) high |= numbers[(32 * group) + i] >> 4 << group;
                to[High + i] = (byte)high;
                for (var pair = 0; pair < 4; pair++)
                    to[Numbers + (32 * pair) + i] = (byte)((numbers[(64 * pair) + i] & 15) | (numbers[(64 * pair) + 32 + i] << 4));
            }
        }
    }
}

/// <summary>A block of Q2_K.</summary>
internal readonly unsafe struct Q2KBlock : IStoredBlock<Q2KBlock>
{
    private readonly byte* _block;
    private readonly float _scale, _minimum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Q2KBlock(byte* block)
    {
        _block = block;
        _scale = QuantizedFormat.Scale(block + Q2KFormat.Scale);
        _minimum = QuantizedFormat.Scale(block + Q2KFormat.Minimum);
    }

    public static int Parts => 8;

    public static int Bytes => Q2KFormat.Bytes;

    public static bool HasLastScale => true;

    public static bool HasMinimum => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q2KBlock Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to)
    {
        // Each pair of bytes is a part's and its last elements'.
        var pairs = Vector128.Load((short*)block);
        var scale = Vector256.Create(QuantizedFormat.Scale(block + Q2KFormat.Scale));
        var minimum = Vector256.Create(QuantizedFormat.Scale(block + Q2KFormat.Minimum));
        var half = Vector128.Create((short)15);
        (StoredProductBlocks.Numbers(pairs & half) * scale).Store(to);
        (StoredProductBlocks.Numbers((pairs >> 8) & half) * scale).Store(to + 8);
        (StoredProductBlocks.Numbers((pairs >> 4) & half) * minimum).Store(to + 16);
        (StoredProductBlocks.Numbers(pairs >>> 12) * minimum).Store(to + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part)
    {
        var quads = Vector256.Load(block + Q2KFormat.Numbers + (part / 4 * 32)).AsUInt16() >>> (part % 4 * 2);
        return (quads.AsByte() & Vector256.Create((byte)3)).AsSByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => _scale * (_block[2 * part] & 15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float LastScale(int part) => _scale * (_block[(2 * part) + 1] & 15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Minimum(int part) => _minimum * (_block[2 * part] >> 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float LastMinimum(int part) => _minimum * (_block[(2 * part) + 1] >> 4);
}

/// <summary>A block of Q3_K.</summary>
internal readonly unsafe struct Q3KBlock : IStoredBlock<Q3KBlock>
{
    private readonly Vector128<sbyte> _scales;
    private readonly float _scale;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Q3KBlock(byte* block) =>
        (_scales, _scale) = (Q3KFormat.AllScales(block + Q3KFormat.Scales), QuantizedFormat.Scale(block + Q3KFormat.Scale));

    public static int Parts => 8;

    public static int Bytes => Q3KFormat.Bytes;

    public static bool HasLastScale => true;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q3KBlock Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to)
    {
        var pairs = Q3KFormat.AllScales(block + Q3KFormat.Scales).AsInt16();
        var scale = Vector256.Create(QuantizedFormat.Scale(block + Q3KFormat.Scale));
        (StoredProductBlocks.Numbers((pairs << 8) >> 8) * scale).Store(to);
        (StoredProductBlocks.Numbers(pairs >> 8) * scale).Store(to + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part)
    {
        var low = Vector256.Load(block + Q3KFormat.Numbers + (part / 4 * 32)).AsUInt16() >>> (part % 4 * 2);
        var bit = Vector256.Create((byte)(1 << part));
        var high = Vector256.Equals(Vector256.Load(block) & bit, bit) & Vector256.Create((byte)4);
        return ((low.AsByte() & Vector256.Create((byte)3)) | high).AsSByte() - Vector256.Create((sbyte)Q3KFormat.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => _scale * _scales[2 * part];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float LastScale(int part) => _scale * _scales[(2 * part) + 1];

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => 0;
}

/// <summary>A block of Q5_K.</summary>
internal readonly unsafe struct Q5KBlock : IStoredBlock<Q5KBlock>
{
    private readonly Q4KBlock _scales;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Q5KBlock(byte* block) => _scales = Q4KBlock.Open(block);

    public static int Parts => 8;

    public static int Bytes => Q5KFormat.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q5KBlock Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to) => Q4KBlock.GroupScales(block, to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part)
    {
        var pairs = Vector256.Load(block + Q5KFormat.Numbers + (part / 2 * 32)).AsUInt16() >>> (part % 2 * 4);
        var bit = Vector256.Create((byte)(1 << part));
        var high = Vector256.Equals(Vector256.Load(block + Q5KFormat.High) & bit, bit) & Vector256.Create((byte)16);
        return ((pairs.AsByte() & Vector256.Create((byte)15)) | high).AsSByte();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => _scales.Scale(part);

    public float LastScale(int part) => Scale(part);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Minimum(int part) => _scales.Minimum(part);

    public float LastMinimum(int part) => Minimum(part);
}
