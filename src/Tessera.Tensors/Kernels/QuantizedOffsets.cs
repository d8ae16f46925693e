using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Tensors.Kernels;

/// <summary>Q4_1: an F16 scale d, an F16 minimum m, and 16 bytes as those of Q4_0: <c>x = d q + m</c>, d = (max − min) / 15.</summary>
internal static unsafe class Q41Format
{
    public const int Elements = 32, Bytes = 20, Minimum = 2, Numbers = 4;

    /// <summary>The scales and minima of 8 blocks so many bytes apart, as of Q5_1 too; see
    /// <see cref="IStoredBlock{TSelf}.GroupScales"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* blocks, int bytes, float* to)
    {
        StoredProductBlocks.Scales(blocks, bytes).Store(to);
        (-StoredProductBlocks.Scales(blocks + Minimum, bytes)).Store(to + 16);
    }

    public static void Store(float* from, byte* to, int blocks)
    {
        for (; blocks > 0; blocks--, from += Elements, to += Bytes)
        {
            var inverse = StoreRange(from, 15, to, out var min);
            for (var i = 0; i < Elements / 2; i++)
                to[Numbers + i] = (byte)(Number(from[i]) | (Number(from[i + 16]) << 4));

            int Number(float x) => Math.Min(15, (int)(((x - min) * inverse) + 0.5f));
        }
    }

    /// <summary>Stores scale and minimum of a block whose numbers go up to <paramref name="max"/>; gives the inverse of the scale before
    /// it is rounded to F16.</summary>
    public static float StoreRange(float* from, int max, byte* to, out float min)
    {
        (min, var greatest) = (from[0], from[0]);
        for (var i = 1; i < Elements; i++) (min, greatest) = (MathF.Min(min, from[i]), MathF.Max(greatest, from[i]));
        var scale = (greatest - min) / max;
        QuantizedFormat.StoreScale(to, scale);
        QuantizedFormat.StoreScale(to + Minimum, min);
        return scale == 0 ? 0 : 1 / scale;
    }
}

/// <summary>Q5_0: an F16 scale, 32 bits with the highest bit of each number, and 16 bytes with the others as Q4_0 has them:
/// <c>x = d (q − 16)</c>, where d makes the element of greatest magnitude exactly −16.</summary>
internal static unsafe class Q50Format
{
    public const int Elements = 32, Bytes = 22, High = 2, Numbers = 6, Zero = 16;

    public static void Store(float* from, byte* to, int blocks)
    {
        var numbers = stackalloc byte[Elements];
        for (; blocks > 0; blocks--, from += Elements, to += Bytes)
        {
            var greatest = 0f;
            for (var i = 0; i < Elements; i++)
                if (MathF.Abs(from[i]) > MathF.Abs(greatest)) greatest = from[i];
            var scale = greatest / -Zero;
            QuantizedFormat.StoreScale(to, scale);
            var inverse = scale == 0 ? 0 : 1 / scale;
            for (var i = 0; i < Elements; i++) numbers[i] = (byte)Math.Min(31, (int)((from[i] * inverse) + (Zero + 0.5f)));
            StoreNumbers(numbers, to + High);
        }
    }

    /// <summary>32 bits and 16 bytes of numbers of five bits.</summary>
    public static void StoreNumbers(byte* numbers, byte* to)
    {
        var high = 0u;
        for (var i = 0; i < Elements; i++) high |= (uint)(numbers[i] >> 4) << i;
        Unsafe.WriteUnaligned(to, high);
        for (var i = 0; i < Elements / 2; i++) to[4 + i] = (byte)((numbers[i] & 15) | (numbers[i + 16] << 4));
    }

    /// <summary>The 32 numbers, 0 to 31, of which 32 bits and 16 bytes consist.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Load(byte* from)
    {
        var high = Vector256.Create(Unsafe.ReadUnaligned<uint>(from)).AsByte();
        var bytes = Vector256.Shuffle(
            high, Vector256.Create(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303).AsByte());
        var bits = Vector256.Create(0x8040201008040201).AsByte();
        var set = Vector256.Equals(bytes & bits, bits) & Vector256.Create((byte)16);
        return set | Halves(from + 4);
    }

    /// <summary>The low halves of 16 bytes, then the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Halves(byte* from)
    {
        var pairs = Vector128.Load(from);
        return Vector256.Create(pairs, (pairs.AsUInt16() >>> 4).AsByte()) & Vector256.Create((byte)15);
    }
}

/// <summary>Q5_1: an F16 scale d, an F16 minimum m, and numbers as Q5_0 has them: <c>x = d q + m</c>, d = (max − min) / 31.</summary>
internal static unsafe class Q51Format
{
    public const int Elements = 32, Bytes = 24, High = 4, Numbers = 8;

    public static void Store(float* from, byte* to, int blocks)
    {
        var numbers = stackalloc byte[Elements];
        for (; blocks > 0; blocks--, from += Elements, to += Bytes)
        {
            var inverse = Q41Format.StoreRange(from, 31, to, out var min);
            for (var i = 0; i < Elements; i++) numbers[i] = (byte)(int)(((from[i] - min) * inverse) + 0.5f);
            Q50Format.StoreNumbers(numbers, to + High);
        }
    }
}

/// <summary>A block of Q4_1.</summary>
internal readonly unsafe struct Q41Block : IStoredBlock<Q41Block>
{
    private readonly byte* _block;

    private Q41Block(byte* block) => _block = block;

    public static int Parts => 1;

    public static int Bytes => Q41Format.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q41Block Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to) => Q41Format.GroupScales(block, Bytes, to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part) => Q50Format.Halves(block + Q41Format.Numbers).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => QuantizedFormat.Scale(_block);

    public float LastScale(int part) => Scale(part);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Minimum(int part) => -QuantizedFormat.Scale(_block + Q41Format.Minimum);

    public float LastMinimum(int part) => Minimum(part);
}

/// <summary>A block of Q5_0.</summary>
internal readonly unsafe struct Q50Block : IStoredBlock<Q50Block>
{
    private readonly byte* _block;

    private Q50Block(byte* block) => _block = block;

    public static int Parts => 1;

    public static int Bytes => Q50Format.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q50Block Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to) => StoredProductBlocks.Scales(block, Bytes).Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part) =>
        Q50Format.Load(block + Q50Format.High).AsSByte() - Vector256.Create((sbyte)Q50Format.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => QuantizedFormat.Scale(_block);

    public float LastScale(int part) => Scale(part);

    public float Minimum(int part) => 0;

    public float LastMinimum(int part) => 0;
}

/// <summary>A block of Q5_1.</summary>
internal readonly unsafe struct Q51Block : IStoredBlock<Q51Block>
{
    private readonly byte* _block;

    private Q51Block(byte* block) => _block = block;

    public static int Parts => 1;

    public static int Bytes => Q51Format.Bytes;

    public static bool HasLastScale => false;

    public static bool HasMinimum => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Q51Block Open(byte* block) => new(block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void GroupScales(byte* block, float* to) => Q41Format.GroupScales(block, Bytes, to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Numbers(byte* block, int part) => Q50Format.Load(block + Q51Format.High).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Scale(int part) => QuantizedFormat.Scale(_block);

    public float LastScale(int part) => Scale(part);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Minimum(int part) => -QuantizedFormat.Scale(_block + Q41Format.Minimum);

    public float LastMinimum(int part) => Minimum(part);
}
