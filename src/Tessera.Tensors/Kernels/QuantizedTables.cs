using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>
/// IQ4_NL: an F16 scale and 16 bytes as those of Q4_0, whose halves name one of 16 values: <c>x = d table[q]</c>. IQ4_XS: an F16 scale,
/// 16 bits with the high 2 bits of 8 scales s, 4 bytes with their low 4, and 8 times 16 such bytes: <c>x = d (s − 32) table[q]</c>.
/// </summary>
internal static unsafe class Iq4Format
{
    public const int Bytes = 18, Numbers = 2;

    public const int GroupsBytes = 136, GroupsHigh = 2, GroupsLow = 4, GroupsNumbers = 8, Zero = 32;

    /// <summary>What each half stands for; finer about 0, where most weights are.</summary>
    public static ReadOnlySpan<sbyte> Table => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <summary>The values that the low halves of 16 bytes name, then those of the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Load(byte* from)
    {
        var table = Vector128.Create((sbyte)-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
        var pairs = Vector128.Load(from);
        return Vector256.Create(
            Vector128.Shuffle(table, (pairs & Vector128.Create((byte)15)).AsSByte()), Vector128.Shuffle(table, (pairs >>> 4).AsSByte()));
    }

    /// <summary>The scale of one of 8 groups, without the block's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Scale(byte* block, int group)
    {
        var low = (block[GroupsLow + (group / 2)] >> (group % 2 * 4)) & 15;
        return (low | (((Unsafe.ReadUnaligned<ushort>(block + GroupsHigh) >> (2 * group)) & 3) << 4)) - Zero;
    }
}

/// <summary>A block of IQ4_NL.</summary>
internal readonly unsafe struct Iq4Block : IStoredBlock<Iq4Block>
{
    private readonly byte* _block;

    private Iq4Block(byte* block) => _block = block;

    public static int Parts => 1;

    public static int Bytes => Iq4Format.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Iq4Block Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to) => StoredProductBlocks.Scales(block, Bytes).Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part) => Iq4Format.Load(block + Iq4Format.Numbers);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => QuantizedFormat.Scale(_block);

    public float LastScale(int part) => Scale(part);

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => 0;
}

/// <summary>A block of IQ4_XS.</summary>
internal readonly unsafe struct Iq4XsBlock : IStoredBlock<Iq4XsBlock>
{
    private readonly byte* _block;
    private readonly float _scale;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Iq4XsBlock(byte* block)
    {
        _block = block;
        _scale = QuantizedFormat.Scale(block);
    }

    public static int Parts => 8;

    public static int Bytes => Iq4Format.GroupsBytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Iq4XsBlock Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to)
    {
        var opened = Open(block);
        for (var part = 0; part < 8; part++) to[part] = opened.Scale(part);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part) => Iq4Format.Load(block + Iq4Format.GroupsNumbers + (part * 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => _scale * Iq4Format.Scale(_block, part);

    public float LastScale(int part) => Scale(part);

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => 0;
}
